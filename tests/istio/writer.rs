//! Every change of a WasmPlugin and its ServiceEntry is one that was decided, and no other field changes.

use std::fs;

use pushring_harness::machine::isolated;
use pushring_harness::poll_until;
use serde_json::json;

use super::mesh::{Mesh, wait_log};

#[test]
fn writes_what_changed_and_nothing_else() {
    isolated("writer::writes_what_changed_and_nothing_else", || {
        let mesh = Mesh::start();
        mesh.passing(&[0, 1, 2]);
        let first = mesh.once(&[]);
        assert_eq!(first.code, 0, "{}", first.stderr);
        assert!(first.stdout.contains("published ServiceEntry, WasmPlugin: 3 members"), "{}", first.stdout);
        let plugin = mesh.plugin();
        assert_eq!(
            plugin["spec"]["pluginConfig"],
            json!({
                "mode": "endpoint", "mirror_deletes": true, "health": true, "status_path": "/-/pushring", "min_members": 2,
                "members": [
                    {"name": "pushgateway-0", "address": "10.77.0.1:9091", "weight": 1},
                    {"name": "pushgateway-1", "address": "10.77.0.2:9091", "weight": 1},
                    {"name": "pushgateway-2", "address": "10.77.0.3:9091", "weight": 1},
                ],
            })
        );
        assert_eq!(plugin["spec"]["failStrategy"], "FAIL_RELOAD");
        let managers = plugin["metadata"]["managedFields"].as_array().unwrap();
        let own = managers.iter().find(|one| one["manager"] == "pushring").unwrap();
        assert_eq!(own["fieldsV1"]["f:spec"].as_object().unwrap().len(), 1, "{own}");
        assert_eq!(
            mesh.get("serviceentry", "pushgateway")["spec"]["endpoints"][0],
            json!({"address": "10.77.0.1", "ports": {"http": 9091, "http-mirror": 9091}})
        );

        // Equal content is not written, by whichever process: each change of a WasmPlugin makes new VMs.
        let versions = mesh.versions();
        fs::rename(mesh.dir.path().join("state"), mesh.dir.path().join("lost")).unwrap();
        let again = mesh.once(&[]);
        assert!(again.stdout.contains("published nothing: 3 members"), "{}", again.stdout);
        assert_eq!(mesh.versions(), versions);

        // A member that leaves: the ring first, its endpoint after the grace time.
        mesh.gateways(&[(0, "passing"), (1, "passing"), (2, "critical")]);
        let left = mesh.once(&[]);
        assert!(left.stdout.contains("published WasmPlugin: 2 members"), "{}", left.stdout);
        assert_eq!(mesh.endpoints(), ["10.77.0.1", "10.77.0.2", "10.77.0.3"]);
        fs::write(
            mesh.dir.path().join("gateways.json"),
            json!([
                {"address": "10.77.0.1:9091", "name": "pushgateway-0"},
                {"address": "10.77.0.2:9091", "name": "pushgateway-1"},
                {"address": "10.77.0.3:9091", "name": "pushgateway-2", "leaving": true},
            ])
            .to_string(),
        )
        .unwrap();
        let kept = mesh.once(&[]);
        assert!(
            kept.stdout.contains("published WasmPlugin: 2 members; endpoints: 0 added, 1 kept"),
            "{}",
            kept.stdout
        );
        let dropped = mesh.once(&["--grace=1ms"]);
        assert!(
            dropped
                .stdout
                .contains("published ServiceEntry: 2 members; endpoints: 0 added, 0 kept, 1 dropped"),
            "{}",
            dropped.stdout
        );
        assert_eq!(mesh.endpoints(), ["10.77.0.1", "10.77.0.2"]);

        // Too few members: the last ring stays.
        let versions = mesh.versions();
        mesh.gateways(&[(0, "critical"), (1, "critical")]);
        let held = mesh.once(&[]);
        assert_eq!((held.code, held.stderr.contains("the last ring stays")), (2, true), "{}", held.stderr);
        // A configuration that the filter rejects is never written, and names the object.
        mesh.passing(&[0, 1]);
        fs::write(mesh.settings(), "filter: {mode: endpoint, header: 'x y'}\n").unwrap();
        let refused = mesh.once(&[]);
        assert_eq!((refused.code, refused.stderr.contains("header")), (2, true), "{}", refused.stderr);
        for (settings, field) in [
            ("filter: {mode: cluster}\n", "filter.mode: found \"cluster\", expected \"endpoint\""),
            (
                "filter: {mode: endpoint}\ngateways: {scheme: https, ca_file: /x}\n",
                "gateways: not for --to wasmplugin",
            ),
        ] {
            fs::write(mesh.settings(), settings).unwrap();
            let refused = mesh.once(&[]);
            assert_eq!((refused.code, refused.stderr.contains(field)), (2, true), "{}", refused.stderr);
        }
        assert_eq!(mesh.versions(), versions);
        // A setting that is gone leaves the WasmPlugin.
        fs::write(mesh.settings(), "filter: {mode: endpoint}\n").unwrap();
        assert_eq!(mesh.once(&[]).code, 0);
        assert!(mesh.plugin()["spec"]["pluginConfig"]["health"].is_null());

        // Errors name the object and the field.
        mesh.patch("serviceentry", "pushgateway", &json!({"spec": {"resolution": "DNS"}}));
        let refused = mesh.once(&[]);
        assert!(
            refused.stderr.contains(
                "ServiceEntry pushring/pushgateway: spec.resolution: found \"DNS\", expected STATIC"
            ),
            "{}",
            refused.stderr
        );
        mesh.kubectl(&["delete", "wasmplugin", "pushring", "-n", "pushring"]);
        let refused = mesh.once(&[]);
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains("WasmPlugin pushring/pushring: create it"), "{}", refused.stderr);
    });
}

#[test]
fn survives_other_writers_and_its_own_end() {
    isolated("writer::survives_other_writers_and_its_own_end", || {
        let mesh = Mesh::start();
        let admin = mesh.servers.kubeconfig();
        mesh.passing(&[0, 1]);
        assert_eq!(mesh.once(&[]).code, 0);

        // Killed between the endpoints and the ring: the next process finishes.
        mesh.passing(&[0, 1, 2]);
        let marker = mesh.dir.path().join("state/.publish/paused");
        let mut discover = mesh.follow(&admin, &[], &[("PUSHRING_PAUSE_AT", "listed")]);
        poll_until("the pause", || marker.exists().then_some(())).unwrap();
        assert_eq!((mesh.endpoints().len(), mesh.members().len()), (3, 2));
        discover.kill();
        fs::remove_file(&marker).unwrap();

        // Another client changes the WasmPlugin in between: labels do not matter, its spec is read again.
        let mut discover = mesh.follow(&admin, &["--delay=0s"], &[("PUSHRING_PAUSE_AT", "listed")]);
        poll_until("the pause", || marker.exists().then_some(())).unwrap();
        mesh.patch(
            "wasmplugin",
            "pushring",
            &json!({"metadata": {"labels": {"by": "another"}}, "spec": {"priority": 7}}),
        );
        fs::remove_file(&marker).unwrap();
        wait_log(
            &mut discover,
            "WasmPlugin pushring/pushring: another client changed its spec at the same time",
        );
        poll_until("the pause", || marker.exists().then_some(())).unwrap();
        mesh.patch("wasmplugin", "pushring", &json!({"metadata": {"labels": {"by": "third"}}}));
        fs::remove_file(&marker).unwrap();
        mesh.wait_members(&[0, 1, 2]);
        let plugin = mesh.plugin();
        assert_eq!(
            (&plugin["spec"]["priority"], &plugin["metadata"]["labels"]["by"]),
            (&json!(7), &json!("third"))
        );
        drop(discover);
        let _ = fs::remove_file(&marker);

        // A configuration by another client is replaced, without an event of the source.
        let discover = mesh.follow(&admin, &[], &[]);
        mesh.patch("wasmplugin", "pushring", &json!({"spec": {"pluginConfig": {"members": [], "extra": 1}}}));
        mesh.wait_members(&[0, 1, 2]);
        assert!(mesh.plugin()["spec"]["pluginConfig"]["extra"].is_null());
        drop(discover);
    });
}

/// With the rights of deploy/istio, which name the two objects.
#[test]
fn an_account_needs_exactly_the_shipped_rights() {
    isolated("writer::an_account_needs_exactly_the_shipped_rights", || {
        let mesh = Mesh::start();
        mesh.passing(&[0, 1]);
        mesh.kubectl(&["config", "set-context", "--current", "--namespace=pushring"]);
        let (kubeconfig, _) = mesh.servers.account("pushring-discover").unwrap();
        let mut discover = mesh.follow(&kubeconfig, &["--delay=0s"], &[]);
        mesh.wait_members(&[0, 1]);
        mesh.kubectl(&["delete", "role", "pushring-discover"]);
        mesh.passing(&[0, 1, 2]);
        wait_log(&mut discover, "answered 403");
        assert!(discover.log().contains("WasmPlugin pushring/pushring"), "{}", discover.log());
        assert_eq!(mesh.members().len(), 2);
        mesh.servers.kubectl(&["apply", "-f", "-"], &mesh.resources()).unwrap();
        mesh.wait_members(&[0, 1, 2]);
    });
}
