//! A real Envoy, a real gateway and `pushring` with the files that the chart renders, at the paths of its pods.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use pushring_harness::command::pushring;
use pushring_harness::http::Client;
use pushring_harness::machine::isolated;
use pushring_harness::{Envoy, Process, Pushgateway, poll_until, process, tools};

use rustix::process::Signal;
use serde_json::Value;

use super::helm::{data, examples, objects, render};

const ADMIN: &str = "http://127.0.0.1:9901";

#[test]
fn envoy_and_pushring_accept_the_files_of_all_examples() {
    isolated("envoy::envoy_and_pushring_accept_the_files_of_all_examples", || {
        for (name, path) in examples() {
            let release = Release::write(&["--values", path.to_str().unwrap()], "10.0.1.1:9191");
            let mut command = process::command(&tools::find("envoy").unwrap());
            command.args(["--mode", "validate", "--log-level", "error", "--config-path", &release.bootstrap]);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        }
    });
}

#[test]
fn probes_and_pushes_work_with_a_path_prefix() {
    isolated("envoy::probes_and_pushes_work_with_a_path_prefix", || {
        let dir = tempfile::tempdir().unwrap();
        let address: SocketAddr = "10.0.1.1:9191".parse().unwrap();
        for (mode, prefix) in [("cluster", ""), ("endpoint", "/pushgateway")] {
            let values = format!("mode={mode},settings.filter.path_prefix={prefix}");
            let release = Release::write(&["--set", &values], "10.0.1.1:9191");
            let flag = format!("--web.route-prefix={prefix}");
            let flags: &[&str] = if prefix.is_empty() { &[] } else { &[&flag] };
            let _gateway = Pushgateway::start_at(dir.path(), address, flags).unwrap();
            let envoy = release.start(dir.path());
            // The probe of the pod.
            let metrics = Client::new("127.0.0.1:9087".parse().unwrap()).unwrap();
            assert_eq!(metrics.get("/ready").unwrap().status, 200, "{mode}");
            let push = envoy.client().unwrap().put(&format!("{prefix}/metrics/job/a"), "a 1\n").unwrap();
            assert_eq!(push.status, 200, "{}", push.text());
            let status = envoy.client().unwrap().get("/-/pushring").unwrap();
            assert_eq!((status.status, status.json().unwrap()["mode"].as_str()), (200, Some(mode)));
        }
    });
}

#[test]
fn the_hook_before_a_stop_waits_for_pushes() {
    isolated("envoy::the_hook_before_a_stop_waits_for_pushes", || {
        let dir = tempfile::tempdir().unwrap();
        let release = Release::write(&[], "10.0.1.1:9191");
        let _gateway = Pushgateway::start_at(dir.path(), "10.0.1.1:9191".parse().unwrap(), &[]).unwrap();
        let envoy = release.start(dir.path());
        let mut slow = TcpStream::connect(envoy.push).unwrap();
        slow.write_all(b"PUT /metrics/job/slow HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\na").unwrap();
        envoy.wait_stat("http.push.downstream_rq_active", |active| active == 1).unwrap();

        // Notes each pause of the script, and makes it short.
        let pauses = dir.path().join("pauses");
        let sleep = dir.path().join("bin/sleep");
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(&sleep, format!("#!/bin/sh\necho \"$1\" >> {}\nexec /bin/sleep 0.1\n", pauses.display()))
            .unwrap();
        fs::set_permissions(&sleep, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = process::command(Path::new("bash"));
        command.arg("/etc/pushring/envoy/drain.sh").arg("15");
        command
            .env("PATH", format!("{}:{}", dir.path().join("bin").display(), std::env::var("PATH").unwrap()));
        let mut script = Process::start("drain", command, dir.path()).unwrap();

        // It waits because of the push.
        let paused = || (fs::read_to_string(&pauses).ok()? == "15\n1\n").then_some(());
        poll_until("the second pause", paused).unwrap();
        let metrics = Client::new("127.0.0.1:9087".parse().unwrap()).unwrap();
        assert_eq!(metrics.get("/ready").unwrap().status, 503);
        // A client that does not know yet: its push is stored, and its connection ends.
        let late = envoy.client().unwrap().put("/metrics/job/late", "a 1\n").unwrap();
        assert_eq!((late.status, late.header("connection")), (200, Some("close")));
        slow.write_all(b" 1\n").unwrap();
        let mut answer = String::new();
        slow.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let status = poll_until("the end of the hook", || script.ended()).unwrap();
        assert_eq!(status.code(), Some(0), "{}", script.log());
    });
}

#[test]
fn a_job_moves_the_groups_of_a_gateway_that_left() {
    isolated("envoy::a_job_moves_the_groups_of_a_gateway_that_left", || {
        let dir = tempfile::tempdir().unwrap();
        let flags = ["--set", "drain.gateways={3},drain.extraArgs={--settle,1ms}"];
        let release = Release::write(&flags, "10.0.1.1:9191");
        let owner = Pushgateway::start_at(dir.path(), "10.0.1.1:9191".parse().unwrap(), &[]).unwrap();
        let _envoy = release.start(dir.path());
        fs::write("/etc/hosts", "10.0.1.1 pushring-envoys\n").unwrap();

        // The containers of the Job, at another port and with another volume.
        let objects = objects(&render(&flags).unwrap());
        let job = objects.iter().find(|one| one["kind"] == "Job").unwrap();
        assert_eq!(job["metadata"]["name"], "pushring-gateway-3-drain");
        let pod = &job["spec"]["template"]["spec"];
        let args = |container: &Value| -> Vec<String> {
            let all = container["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap());
            let volume = dir.path().to_str().unwrap();
            all.map(|one| one.replace(":9091", ":9292").replace("/data", volume)).collect()
        };
        let mut gateway = args(&pod["initContainers"][0]);
        assert_eq!(gateway.remove(0), "--web.listen-address=127.0.0.1:9292");
        let gateway: Vec<&str> = gateway.iter().map(String::as_str).collect();
        let run = || Pushgateway::start_at(dir.path(), "127.0.0.1:9292".parse().unwrap(), &gateway).unwrap();
        let mut left = run();
        assert_eq!(left.client().unwrap().put("/metrics/job/old", "a 1\n").unwrap().status, 200);
        left.process.stop(Signal::TERM).unwrap();
        let left = run();
        assert_eq!(left.groups().unwrap().len(), 1, "the volume has no groups");

        let drain = args(&pod["containers"][0]);
        let drain = drain.iter().map(|one| one.replace("envoys:9292", "envoys:9091"));
        let output = pushring(drain).unwrap();
        assert_eq!(output.code, 0, "{output:?}");
        let counts = [&left, &owner].map(|gateway| gateway.groups().unwrap().len());
        assert_eq!(counts, [0, 1]);
    });
}

/// The files of a pod in /etc/pushring.
struct Release {
    bootstrap: String,
}

impl Release {
    /// Renders the chart with these flags of Helm, and publishes a ring with one gateway by the settings of the pod.
    fn write(flags: &[&str], gateway: &str) -> Self {
        let text = render(flags).unwrap();
        let objects = objects(&text);
        let deployment = objects.iter().find(|one| {
            one["kind"] == "Deployment" && one["metadata"]["labels"]["app.kubernetes.io/name"] == "envoy"
        });
        let full =
            deployment.unwrap()["metadata"]["name"].as_str().unwrap().trim_end_matches("-envoy").to_owned();
        let folder = Path::new("/etc/pushring");
        for name in ["live", "envoy", "settings", "filter"] {
            let _ = fs::remove_dir_all(folder.join(name));
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        for file in ["envoy.yaml", "drain.sh"] {
            fs::write(folder.join("envoy").join(file), data(&objects, &format!("{full}-envoy"), file))
                .unwrap();
        }
        for mode in ["cluster.yaml", "endpoint.yaml"] {
            fs::write(folder.join("settings").join(mode), data(&objects, &format!("{full}-settings"), mode))
                .unwrap();
        }
        fs::copy(tools::wasm().unwrap(), folder.join("filter/plugin.wasm")).unwrap();
        let (host, port) = gateway.split_once(':').unwrap();
        let registrations =
            format!(r#"{{"registrations": [{{"address": "{host}", "port": {port}, "name": "gateway-0"}}]}}"#);
        fs::write(folder.join("registrations.json"), registrations).unwrap();
        let init = &deployment.unwrap()["spec"]["template"]["spec"]["initContainers"];
        let discover = init.as_array().unwrap().iter().find(|one| one["name"] == "discover").unwrap();
        let args = &discover["args"];
        let given = |flag: &str| {
            let all = args.as_array().unwrap().iter().map(|one| one.as_str().unwrap());
            all.filter(|one| one.starts_with(flag)).map(str::to_owned).next().unwrap()
        };
        let flags = ["--settings=", "--live=", "--wasm=", "--admin="].map(given);
        assert_eq!(flags[3], format!("--admin={ADMIN}"));
        let file = "--registrations=/etc/pushring/registrations.json".to_owned();
        let output = pushring(["publish".to_owned(), file].iter().chain(&flags)).unwrap();
        assert_eq!(output.code, 0, "{output:?}");
        // Both settings are valid, also those that this pod does not use.
        for mode in ["cluster", "endpoint"] {
            let settings = format!("--settings=/etc/pushring/settings/{mode}.yaml");
            let other = tempfile::tempdir().unwrap();
            let live = format!("--live={}", other.path().join("live").display());
            let output =
                pushring(["publish", "--registrations=/etc/pushring/registrations.json", &settings, &live]);
            assert_eq!(output.as_ref().unwrap().code, 0, "{output:?}");
        }
        Self { bootstrap: folder.join("envoy/envoy.yaml").to_str().unwrap().to_owned() }
    }

    fn start(&self, dir: &Path) -> Envoy {
        let command = process::command(&tools::find("envoy").unwrap());
        Envoy::run(command, Path::new(&self.bootstrap), dir, 1).unwrap()
    }
}
