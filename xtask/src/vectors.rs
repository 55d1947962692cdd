//! Test vectors that others made: fetched by git, where no folder beside the checkout has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{Failure, execute, read_stdout, step};
use crate::workspace::Workspace;

/// A public repository, and what of it the tests read.
struct Source<'a> {
    /// The folder that its files go into.
    folder: &'a str,
    url: &'a str,
    /// The beginning of the commit's id. Raising it here is what fetches anew.
    commit: &'a str,
    /// Files and folders of the repository.
    paths: &'a [&'a str],
}

const SOURCES: [Source<'static>; 2] = [
    Source {
        folder: "wycheproof",
        url: "https://github.com/C2SP/wycheproof",
        commit: "dac1dd4729fd",
        paths: &[
            "testvectors_v1/json_web_crypto_test.json",
            "testvectors_v1/json_web_encryption_test.json",
            "testvectors_v1/json_web_key_test.json",
            "testvectors_v1/json_web_signature_test.json",
        ],
    },
    Source {
        folder: "cookbook",
        url: "https://github.com/ietf-jose/cookbook",
        commit: "13692b68bfc1",
        paths: &["curve25519", "jwe", "jwk", "jws", "rfc7797"],
    },
];

/// Fetches what is missing, unless the vectors have a folder outside of `.tools/`.
///
/// # Errors
/// When git cannot fetch one of the repositories, with the name of each.
pub(crate) fn fetch(workspace: &Workspace) -> Result<(), Failure> {
    let folder = workspace.vectors();
    if !folder.starts_with(workspace.tools()) {
        return Ok(());
    }
    let missing = |source: &&Source<'_>| !is_there(source, &folder);
    let failed = SOURCES.iter().filter(missing).filter(|source| {
        let heading = format!("Fetching {} at {} into .tools/vectors", source.url, source.commit);
        let outcome = step(&heading, || fetch_one(source, &folder));
        outcome.inspect_err(|failure| eprintln!("    {failure}")).is_err()
    });
    let failed: Vec<&str> = failed.map(|source| source.url).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "could not fetch the test vectors of {}; `POSTERN_VECTORS` may name a folder that has them",
        failed.join(" and ")
    )))
}

/// Whether the tests find their vectors.
pub(crate) fn are_there(workspace: &Workspace) -> bool {
    SOURCES.iter().all(|source| workspace.vectors().join(source.folder).is_dir())
}

fn is_there(source: &Source<'_>, folder: &Path) -> bool {
    let fetched = fs::read_to_string(folder.join(source.folder).join("COMMIT"));
    fetched.is_ok_and(|commit| commit.starts_with(source.commit))
}

/// Puts the source's files into its folder; what was there stays until they are complete.
fn fetch_one(source: &Source<'_>, folder: &Path) -> Result<(), Failure> {
    let scratch = folder.join("new");
    let _ = fs::remove_dir_all(&scratch);
    let outcome = lay_out(source, &scratch).and_then(|fresh| {
        let place = folder.join(source.folder);
        let _ = fs::remove_dir_all(&place);
        fs::rename(fresh, place).map_err(cannot_write)
    });
    let _ = fs::remove_dir_all(&scratch);
    outcome
}

/// Returns the folder, below `scratch`, of the source's files.
fn lay_out(source: &Source<'_>, scratch: &Path) -> Result<PathBuf, Failure> {
    let (clone, fresh) = (scratch.join("clone"), scratch.join("files"));
    fs::create_dir_all(&fresh).map_err(cannot_write)?;
    // Without the files' contents: those that are checked out follow by themselves.
    let options = ["clone", "--quiet", "--no-checkout", "--filter=blob:none"];
    execute(git().args(options).arg(source.url).arg(&clone))?;
    let commit = commit(source, &clone)?;
    let checkout = ["checkout", "--quiet", &commit, "--"];
    execute(git().arg("-C").arg(&clone).args(checkout).args(source.paths))?;
    for path in source.paths {
        let name = Path::new(path).file_name().unwrap_or_default();
        fs::rename(clone.join(path), fresh.join(name)).map_err(cannot_write)?;
    }
    fs::write(fresh.join("COMMIT"), &commit).map_err(cannot_write)?;
    Ok(fresh)
}

/// The full id of the source's commit, which a branch or a tag of its name is not.
fn commit(source: &Source<'_>, clone: &Path) -> Result<String, Failure> {
    let name = format!("{}^{{commit}}", source.commit);
    let commit =
        read_stdout(git().arg("-C").arg(clone).args(["rev-parse", "--verify", "--quiet", &name]));
    let commit = commit.map(|line| line.trim().to_owned()).unwrap_or_default();
    if commit.starts_with(source.commit) {
        Ok(commit)
    } else {
        Err(Failure::new(format!("{} has no commit {}", source.url, source.commit)))
    }
}

/// A git that asks nobody, and that a hook of this repository has not bound to it.
fn git() -> Command {
    let mut command = Command::new("git");
    command.env("GIT_TERMINAL_PROMPT", "0");
    for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
        command.env_remove(name);
    }
    command
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn cannot_write(error: std::io::Error) -> Failure {
    Failure::new(format!("cannot keep the test vectors: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository of two commits and a branch that is named like a commit, and a folder.
    struct World(PathBuf);

    impl World {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("postern-{name}-{}", std::process::id()));
            let world = Self(root);
            fs::create_dir_all(world.repository().join("data/deep")).unwrap();
            world.git(&["init", "--quiet"]);
            for text in ["first", "second"] {
                fs::write(world.repository().join("data/a.json"), text).unwrap();
                fs::write(world.repository().join("data/deep/b.json"), text).unwrap();
                world.git(&["add", "."]);
                let author =
                    ["-c", "user.name=a", "-c", "user.email=a", "-c", "commit.gpgsign=false"];
                world.git(&[&author[..], &["commit", "--quiet", "-m", text]].concat());
            }
            world
        }

        fn repository(&self) -> PathBuf {
            self.0.join("repository")
        }

        fn vectors(&self) -> PathBuf {
            self.0.join("vectors")
        }

        fn git(&self, words: &[&str]) -> String {
            read_stdout(git().arg("-C").arg(self.repository()).args(words)).unwrap()
        }

        fn fetch(&self, commit: &str) -> Result<(), Failure> {
            let url = format!("file://{}", self.repository().display());
            let paths = &["data/a.json", "data/deep"];
            let source = Source { folder: "set", url: &url, commit, paths };
            fetch_one(&source, &self.vectors())
                .map(|()| assert!(is_there(&source, &self.vectors())))
        }

        fn read(&self, path: &str) -> String {
            fs::read_to_string(self.vectors().join("set").join(path)).unwrap()
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_files_of_the_pinned_commit_are_laid_out() {
        let world = World::new("pinned");
        let first = world.git(&["rev-parse", "HEAD~1"]);
        world.fetch(first.split_at(12).0).unwrap();
        assert_eq!(
            (world.read("a.json"), world.read("deep/b.json")),
            ("first".into(), "first".into())
        );
        assert_eq!(world.read("COMMIT"), first.trim());
        let second = world.git(&["rev-parse", "HEAD"]);
        world.fetch(second.split_at(12).0).unwrap();
        assert_eq!(world.read("a.json"), "second");
        assert_eq!(fs::read_dir(world.vectors()).unwrap().count(), 1);
    }

    #[test]
    fn a_commit_that_is_not_there_is_named_and_what_was_there_stays() {
        let world = World::new("missing");
        let first = world.git(&["rev-parse", "HEAD~1"]);
        world.fetch(first.split_at(12).0).unwrap();
        world.git(&["branch", "dac1dd4729fd"]);
        let message = world.fetch("dac1dd4729fd").unwrap_err().to_string();
        assert!(message.ends_with("has no commit dac1dd4729fd"), "{message}");
        assert_eq!(world.read("a.json"), "first");
        assert_eq!(fs::read_dir(world.vectors()).unwrap().count(), 1);
    }
}
