//! The promises of the units: they start again, stop in order, wait for pushes, come up with the machine, and can do little.

use pushring_harness::poll_until;

use crate::machine::Machine;
use crate::page::Page;
use crate::pushes;

/// The units of one machine, and the users of their processes.
const UNITS: [(&str, &str); 7] = [
    ("pushring-discover", "pushring"),
    ("pushring-envoy", "pushring-envoy"),
    ("pushring-pushgateway@127.0.0.1:19091", "pushring-gateway"),
    ("pushring-pushgateway@127.0.0.1:19092", "pushring-gateway"),
    ("pushring-pushgateway@127.0.0.1:19093", "pushring-gateway"),
    ("pushring-serve", "pushring"),
    ("pushring-sweep", "pushring"),
];

/// Boots a machine and follows the page until pushes are routed.
fn installed() -> Machine {
    let machine = Machine::boot("vm");
    let mut page = Page::open();
    for section in ["The programs", "Three gateways", "Envoy and the ring"] {
        page.section(&machine, section);
    }
    machine
}

fn all() -> String {
    UNITS.map(|(unit, _)| unit).join(" ")
}

fn main_pid(machine: &Machine, unit: &str) -> Option<u32> {
    let show = machine.ok(&format!("systemctl show --property MainPID --value '{unit}'"));
    show.trim().parse().ok().filter(|pid| *pid != 0)
}

#[test]
fn killed_units_start_again() {
    let machine = installed();
    pushes::push(&machine, 100);
    // The gateways write their groups every 10 seconds; a crash would lose those that are not written yet.
    for (unit, _) in UNITS.iter().filter(|(unit, _)| unit.contains('@')) {
        let address = unit.split_once('@').unwrap().1;
        machine.wait(&format!(
            "test -n \"$(find /var/lib/pushring-gateway/{address} -newermt -20sec -size +0)\""
        ));
    }
    for (unit, _) in UNITS {
        let killed = main_pid(&machine, unit).expect("it runs");
        machine.ok(&format!("kill -KILL {killed}"));
        poll_until(unit, || main_pid(&machine, unit).filter(|pid| *pid != killed)).unwrap();
        machine.wait(&format!("systemctl is-active '{unit}'"));
    }
    machine.wait("curl -sS --fail http://127.0.0.1:9087/-/ready");
    pushes::push(&machine, 100);
    pushes::assert_on_owners(&machine, 100);
}

#[test]
fn units_stop_after_a_push_under_way() {
    let machine = installed();
    pushes::push(&machine, 100);
    // The push ends after Envoy has begun to stop.
    let push = "(echo 'under_way 1'
          until test \"$(systemctl is-active pushring-envoy)\" = deactivating; do sleep 0.1; done
          echo 'ended 1') |
        curl -sS --fail --upload-file - http://127.0.0.1:9091/metrics/job/slow > slow.log 2>&1 && echo stored >> slow.log &
        until curl -sS http://127.0.0.1:9901/stats | grep -qx 'http.push.downstream_rq_active: 1'; do sleep 0.1; done";
    machine.ok(&format!("{push}\nsystemctl stop pushring-envoy\nwait"));
    assert_eq!(machine.ok("cat slow.log"), "stored\n");
    machine.ok(&format!("systemctl stop {}", all()));
    assert_eq!(machine.run("pgrep --list-full --euid pushring,pushring-envoy,pushring-gateway").stdout, "");

    machine.ok(&format!("systemctl start {}", all()));
    machine.wait("curl -sS --fail http://127.0.0.1:9087/-/ready");
    pushes::assert_on_owners(&machine, 100);
    assert!(machine.ok("pushring groups --config /etc/pushring/live/ring.yaml").contains("{job=\"slow\"}"));
}

#[test]
fn everything_is_back_after_a_reboot_without_its_list() {
    let mut machine = installed();
    pushes::push(&machine, 100);
    let status = machine.ok("curl -sS --fail http://127.0.0.1:9091/-/pushring");
    // As if the registry were away: Envoy starts with the last ring.
    machine.ok("mv /etc/pushring/gateways.yaml /root");
    machine.reboot();
    let stopped = machine.stopped();
    let position =
        |unit: &str| stopped.iter().rposition(|name| name == unit).unwrap_or_else(|| panic!("{stopped:?}"));
    assert!(position("pushring-sweep") < position("pushring-envoy"), "{stopped:?}");
    assert!(position("pushring-envoy") < position("pushring-discover"), "{stopped:?}");
    for (unit, _) in UNITS.iter().filter(|(unit, _)| unit.contains('@')) {
        assert!(position("pushring-envoy") < position(unit), "{stopped:?}");
    }
    assert_eq!(machine.wait("curl -sS --fail http://127.0.0.1:9091/-/pushring"), status);
    machine.wait("curl -sS --fail http://127.0.0.1:9087/-/ready");
    for (unit, user) in UNITS {
        machine.wait(&format!("systemctl is-active '{unit}'"));
        let pid = main_pid(&machine, unit).expect("it runs");
        assert_eq!(machine.ok(&format!("ps -o user:20= -p {pid}")).trim(), user, "{unit}");
    }
    pushes::assert_on_owners(&machine, 100);
    machine.ok("mv /root/gateways.yaml /etc/pushring");
    machine.wait("curl -sS --fail http://127.0.0.1:9088/-/ready");
    assert_eq!(machine.ok("curl -sS --fail http://127.0.0.1:9091/-/pushring"), status);
}

#[test]
fn settings_are_reloaded() {
    let machine = installed();
    let points = "curl -sS --fail http://127.0.0.1:9091/-/pushring | grep -o '\"points\":[0-9]*'";
    assert_eq!(machine.ok(points), "\"points\":1024\n");
    machine.ok("sed -i 's/points: 1024/points: 512/' /etc/pushring/settings.yaml; systemctl reload pushring-discover");
    machine.wait(&format!("{points} | grep -x '\"points\":512'"));
    machine.ok("sed -i 's/points: 512/points: many/' /etc/pushring/settings.yaml; systemctl reload pushring-discover");
    machine.wait("journalctl -u pushring-discover --no-pager | grep 'settings rejected; the last ones stay'");
    assert_eq!(machine.ok(points), "\"points\":512\n");
    machine.ok("systemctl is-active pushring-discover");
}

#[test]
fn processes_have_no_rights() {
    let machine = installed();
    for (unit, _) in UNITS {
        let pid = main_pid(&machine, unit).expect("it runs");
        let status = machine.ok(&format!("cat /proc/{pid}/status"));
        for line in
            ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
        {
            assert!(status.contains(line), "{unit}: no {line:?} in\n{status}");
        }
    }
    // As the user of Envoy in its sandbox, and without it.
    let pid = main_pid(&machine, "pushring-envoy").unwrap();
    let mounts = machine.ok(&format!("cat /proc/{pid}/mountinfo"));
    assert!(
        mounts.lines().any(|mount| mount.split(' ').nth(4) == Some("/") && mount.contains(" ro")),
        "{mounts}"
    );
    assert_ne!(machine.run("runuser -u pushring-envoy -- touch /etc/pushring/live/ring.yaml").code, 0);
}
