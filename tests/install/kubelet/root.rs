//! The files that a container sees: the system of this machine, the program of its image, and its volumes.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::images::Image;
use super::volumes::Volumes;
use super::{list, text};

/// Makes `$root` a small system with the programs and libraries of this machine.
const SYSTEM: &str = r#"mount -t tmpfs -o mode=755 none "$root"
mkdir -p "$root/proc" "$root/dev" "$root/etc" "$root/tmp" "$root/usr"
mount --rbind /usr "$root/usr"
for folder in bin sbin lib lib64; do
  if [ -L /$folder ]; then cp -P /$folder "$root/"
  elif [ -d /$folder ]; then mkdir "$root/$folder"; mount --rbind /$folder "$root/$folder"; fi
done
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
for file in passwd group nsswitch.conf; do
  if [ -e /etc/$file ]; then cp /etc/$file "$root/etc/"; fi
done
mkdir "$root/etc/names"
mount --bind "$names" "$root/etc/names"
ln -s names/hosts "$root/etc/hosts"
mount -t tmpfs -o mode=755 none "$root/usr/local/bin"
"#;

/// Returns a script for a mount namespace of its own, which ends as the program of the container.
pub(crate) fn script(
    (root, names): (&Path, &Path),
    image: &Image,
    (pod, container): (&Value, &Value),
    volumes: &Volumes,
    (variables, words): (&[(String, String)], &[String]),
) -> Result<String> {
    let (root, names) = (quote(&root.display().to_string()), quote(&names.display().to_string()));
    let mut script = format!("root={root}\nnames={names}\n{SYSTEM}");
    let program = quote(&image.program.display().to_string());
    write!(script, "touch \"$root{0}\"\nmount --bind {program} \"$root{0}\"\n", image.path)?;
    for mount in list(&container["volumeMounts"]) {
        let mut source = volumes.source(pod, &text(&mount["name"]))?;
        if let Some(part) = mount["subPath"].as_str() {
            source = source.join(part);
        }
        let (source, path) = (quote(&source.display().to_string()), quote(&text(&mount["mountPath"])));
        let make = format!("target=\"$root\"{path}; mkdir -p \"$(dirname \"$target\")\"");
        write!(
            script,
            "{make}\nif [ -d {source} ]; then mkdir -p \"$target\"; else touch \"$target\"; fi\n"
        )?;
        writeln!(script, "mount --bind {source} \"$target\"")?;
        if mount["readOnly"] == true {
            script += "mount -o remount,bind,ro \"$target\"\n";
        }
    }
    if container["securityContext"]["readOnlyRootFilesystem"] == true {
        script += "mount -o remount,bind,ro \"$root\"\n";
    }
    script += "exec env -i";
    for (name, value) in variables {
        write!(script, " {}", quote(&format!("{name}={value}")))?;
    }
    script += " \"$(command -v chroot)\" \"$root\"";
    for word in words {
        write!(script, " {}", quote(word))?;
    }
    Ok(script + "\n")
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
