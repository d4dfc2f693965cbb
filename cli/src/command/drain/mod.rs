//! `pushring drain`.

mod gateway_state;
mod next_step;
mod report;
mod run;
mod transfer;

use crate::cleanup::safety_check::{SafetyArgs, SafetyCheck};
use crate::error::{BadInput, ExitStatus};
use crate::fleet::source::FleetArgs;
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::output::{self, Output};
use report::Report;
use transfer::Options;

/// Carry the groups of a gateway that has left the ring to their owners
///
/// First take the gateway out of the ring (`pushring deregister`), and leave it running. Its groups are then pushed to
/// the gateways that own them now, read back from there, and deleted where they were. Of each group only those metric
/// families are carried that its owner lacks or has older. What is not certain stays, with the reason.
/// May be interrupted or killed at any point: run it again, and it goes on. When it ends with 0 the gateway is empty
/// and can be stopped.
#[derive(clap::Args)]
#[command(after_help = "\
What is carried is byte for byte what the gateway exposed: all types, native histograms, exemplars, created time stamps.
What is not:
  - push_time_seconds becomes the time of the copy, push_failure_time_seconds starts anew
  - the unit of a family, which no Pushgateway exposes
A group that a client deleted at its new owner since the gateway left the ring comes back if the gateway still holds it.
Gateways are read at most a second before each request. A push of a family that reaches its new owner within this second
is replaced by the copy of that family; give --envoy for every Envoy, so that none pushes to the gateway that left.

Exit codes: 0 the gateway is empty (--keep: owners hold everything); 1 something was kept; 2 not safe, nothing was done.

Examples:
  pushring deregister 10.0.0.4:9091
  pushring drain 10.0.0.4:9091 --config /etc/pushring/live/ring.yaml --dry-run
  pushring drain 10.0.0.4:9091 --config /etc/pushring/live/ring.yaml --envoy http://10.0.1.1:8080")]
pub(crate) struct DrainArgs {
    /// host:port of the gateway that left the ring
    address: String,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    gateways: GatewayArgs,
    #[command(flatten)]
    safety: SafetyArgs,
    /// Copy, but delete nothing on the gateway that left
    #[arg(long)]
    keep: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl DrainArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let address = self.address.as_str();
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none_or(|port| port == 0) {
            return Err(BadInput(format!("the gateway: found {address:?}, allowed host:port")).into());
        }
        let mut safety = SafetyCheck::new(&self.safety, self.fleet.source()?)?;
        // Refused at once, not after the settling time.
        let fleet = safety.source().read()?;
        run::has_left(address, &fleet)?;
        let gateways = Gateways::new(&self.gateways, fleet.router.config())?;
        let fleet = if self.dry_run { fleet } else { safety.wait_until_settled(output::settling)? };
        let options = Options { keep: self.keep, dry_run: self.dry_run };
        let bar = output::progress("groups");
        let report = run::drain(address, &fleet, &gateways, &safety, options, &output::advance(&bar))?;
        bar.finish_and_clear();
        self.print(&report)?;
        Ok(ExitStatus::found(report.is_unfinished(self.keep)))
    }

    fn print(&self, report: &Report) -> anyhow::Result<()> {
        output::show(self.output, &report, ToString::to_string)?;
        if report.interrupted {
            eprintln!("pushring: interrupted; the same command goes on where this one ended");
        }
        Ok(())
    }
}
