//! The documents, executed from their own code blocks on real servers. docs/style.md explains how to write a block.
//!
//! Each test runs in Linux namespaces of its own, so the commands run as they are written: with the files in
//! /etc/pushring and the addresses 10.0.0.1:9091 and 127.0.0.1:8500.

mod blocks;
mod chart;
mod commands;
mod every_block;
mod examples;
mod installation;
mod metric_index;
mod migration;
mod one_pushgateway;
mod operations;
mod output;
mod runbook;
mod sources;
mod traffic;
mod walk;
