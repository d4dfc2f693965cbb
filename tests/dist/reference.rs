//! Completions and man pages.

use std::fs;
use std::path::Path;
use std::process::Command;

use pushring_harness::tools;

use crate::{here, run, unpack};

/// Subcommands of the help text.
fn subcommands(pushring: &Path) -> Vec<String> {
    let help = run(Command::new(pushring).arg("--help"));
    let list = help.split_once("Commands:\n").unwrap().1.lines().take_while(|line| !line.is_empty());
    let names = list.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names = names.map(|line| line.split(' ').next().unwrap().to_owned());
    names.filter(|name| name != "help").collect()
}

/// Long options of a subcommand, from its help text.
fn options(pushring: &Path, subcommand: &str) -> Vec<String> {
    let help = run(Command::new(pushring).args([subcommand, "--help"]));
    let words = help.lines().filter_map(|line| {
        // Texts are indented more.
        let line = line.strip_prefix("      ").or_else(|| line.strip_prefix("  -h, "))?;
        line.starts_with("--").then(|| line.split([' ', '[', '=', ',']).next().unwrap().to_owned())
    });
    words.collect()
}

#[test]
fn a_man_page_per_subcommand_names_its_options() {
    let dir = tempfile::tempdir().unwrap();
    let root = unpack(here().0, dir.path());
    let pushring = root.join("bin/pushring");
    let render = |page: &str| {
        let mut groff = Command::new("groff");
        groff.args(["-Kutf8", "-man", "-Tutf8", "-ww", "-P-cbou"]).arg(root.join("man").join(page));
        let output = groff.output().unwrap();
        let warnings = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && warnings.is_empty(), "{page}: {warnings}");
        // groff splits words at the end of a line by a hyphen of its own.
        String::from_utf8(output.stdout).unwrap().replace('\u{2010}', "-")
    };
    let subcommands = subcommands(&pushring);
    assert!(subcommands.len() >= 12, "{subcommands:?}");
    let overview = render("pushring.1");
    for subcommand in &subcommands {
        assert!(overview.contains(&format!("pushring-{subcommand}(1)")), "{subcommand}");
        let page = render(&format!("pushring-{subcommand}.1"));
        let options = options(&pushring, subcommand);
        assert!(options.contains(&"--help".to_owned()), "{options:?}");
        for option in options {
            assert!(page.contains(&option), "{subcommand}: {option}");
        }
    }
}

#[test]
fn bash_completes_subcommands_and_options() {
    let dir = tempfile::tempdir().unwrap();
    let root = unpack(here().0, dir.path());
    let complete = |words: &str| {
        let script = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _pushring pushring \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\"",
            root.join("completions/pushring.bash").display()
        );
        run(Command::new("bash").args(["-uc", &script])).trim().to_owned()
    };
    assert_eq!(complete("pushring swe"), "sweep");
    assert_eq!(complete("pushring discover --fr"), "--from");
    assert_eq!(complete("pushring discover --from kub"), "kubernetes");
    for subcommand in subcommands(&root.join("bin/pushring")) {
        assert!(complete("pushring ''").split(' ').any(|word| word == subcommand), "{subcommand}");
    }
}

#[test]
fn zsh_fish_and_powershell_have_every_option() {
    let dir = tempfile::tempdir().unwrap();
    let root = unpack(here().0, dir.path());
    let (pushring, completions) = (root.join("bin/pushring"), root.join("completions"));
    let debian = tools::repository().join("target/tools/debian");
    let library = tools::debian_libraries().unwrap();
    for (program, args) in
        [("bin/zsh", ["-fn", "_pushring"]), ("usr/bin/fish", ["--no-execute", "pushring.fish"])]
    {
        let mut command = Command::new(debian.join(program));
        command.env("LD_LIBRARY_PATH", &library).arg(args[0]).arg(completions.join(args[1]));
        let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?}");
    }
    for file in ["_pushring", "_pushring.ps1", "pushring.elv", "pushring.fish"] {
        let text = fs::read_to_string(completions.join(file)).unwrap();
        for option in subcommands(&pushring).iter().flat_map(|name| options(&pushring, name)) {
            // fish names a long option without its hyphens.
            let name = if file.ends_with(".fish") { format!("-l {}", &option[2..]) } else { option };
            assert!(text.contains(&name), "{file}: {name}");
        }
    }
}
