//! The catalogue of metric-index over time and in SQL, with a real MariaDB, and puts of OpenTSDB with a real VictoriaMetrics.

mod limits;
mod long_values;
mod puts;
mod retention;
mod send;
mod views;
