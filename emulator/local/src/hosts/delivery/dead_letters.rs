//! Writes dead letters to a folder, as Event Grid writes them to a container of a storage account.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use keyholder_emulator::event_grid::DeadLetter;
use keyholder_emulator::{Emulator, World};

/// How long to wait after a failure before the next try.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Writes every dead letter that is due below a folder, for ever. A folder that cannot be written to is tried
/// again, by the emulator's clock, for the four hours the service tries.
pub async fn write(emulator: Emulator, folder: PathBuf) {
    let mut changes = emulator.changes();
    let mut done = BTreeSet::new();
    loop {
        // Whatever changes from here on ends the wait below.
        changes.mark_unchanged();
        let (due, next) = emulator.look(|world, now| look(world, &mut done, now));
        let mut wait = next;
        for letter in due {
            match save(&folder, &letter).await {
                Ok(()) => _ = done.insert(letter.path().to_owned()),
                Err(error) => {
                    let path = folder.join(letter.path());
                    tracing::warn!(path = %path.display(), %error, "a dead letter cannot be written");
                    let now = emulator.now();
                    if now >= letter.lost_at() {
                        done.insert(letter.path().to_owned());
                    } else {
                        let again = now + AGAIN_AFTER;
                        wait = Some(wait.map_or(again, |next| next.min(again)));
                    }
                }
            }
        }
        tokio::select! {
            // The sender lives in `emulator`, so this never fails.
            _ = changes.changed() => {}
            () = super::reaches(&emulator, wait) => {}
        }
    }
}

/// The letters to be written now, and when the next one is due. Forgets those that the world has forgotten.
fn look(
    world: &World,
    done: &mut BTreeSet<String>,
    now: OffsetDateTime,
) -> (Vec<DeadLetter>, Option<OffsetDateTime>) {
    let letters = || world.event_grid.dead_letters();
    done.retain(|path| letters().any(|letter| letter.path() == path));
    let waiting = letters().filter(|letter| !done.contains(letter.path()));
    let (due, later): (Vec<_>, Vec<_>) = waiting.partition(|letter| letter.due() <= now);
    (due.into_iter().cloned().collect(), later.iter().map(|letter| letter.due()).min())
}

async fn save(folder: &Path, letter: &DeadLetter) -> io::Result<()> {
    let path = below(folder, letter.path())?;
    let text = format!("{:#}\n", letter.blob());
    let write = move || {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        std::fs::write(path, text)
    };
    tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// A path that leads nowhere but down.
fn below(folder: &Path, path: &str) -> io::Result<PathBuf> {
    if Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
        Ok(folder.join(path))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leads out of the folder"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;
    use time::macros::datetime;

    use super::*;
    use crate::testing::{subscription, upload};
    use keyholder_emulator::event_grid::Attempt;

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    /// An emulator in which one event has just been given up.
    fn emulator() -> Emulator {
        let emulator = Emulator::new(World::empty(1));
        emulator.freeze(NOW);
        emulator.with(|world, now| {
            world.event_grid.subscribe(subscription("on-upload", "http://127.0.0.1/"));
            world.event_grid.publish(&upload(), now, &mut world.random);
            let delivery = world.event_grid.take_due(now).remove(0);
            world.event_grid.settle(delivery, Attempt::Answered(StatusCode::BAD_REQUEST), now);
        });
        emulator
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    /// Lets the writer do what it can do now, then stops it.
    async fn write_once(emulator: &Emulator, folder: &Path) {
        let mut changes = emulator.changes();
        let written = async {
            while emulator.look(|world, now| {
                let mut letters = world.event_grid.dead_letters();
                letters.any(|letter| letter.due() <= now && !folder.join(letter.path()).exists())
            }) {
                tokio::task::yield_now().await;
            }
            changes.mark_unchanged();
        };
        tokio::select! {
            biased;
            () = write(emulator.clone(), folder.to_owned()) => {}
            () = written => {}
        }
    }

    #[tokio::test]
    async fn a_dead_letter_is_a_file_five_minutes_after_the_last_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let emulator = emulator();
        emulator.advance(Duration::from_secs(299));
        write_once(&emulator, folder.path()).await;
        assert_eq!(files(folder.path()), [] as [PathBuf; 0]);

        emulator.advance(Duration::from_secs(1));
        write_once(&emulator, folder.path()).await;
        let files = files(folder.path());
        let path =
            emulator.look(|world, _| world.event_grid.dead_letters().next().unwrap().path().to_owned());
        assert!(path.starts_with("letters/ON-UPLOAD/2026/3/5/10/"), "{path}");
        assert_eq!(files, [folder.path().join(path)]);
        let blob: Value = serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap();
        assert_eq!(blob[0]["lastDeliveryOutcome"], "BadRequest");
        assert_eq!(blob[0]["subject"], upload().resource_id);
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        for path in ["/etc/passwd", "../up.json", "letters/../../up.json", "./letters/a.json"] {
            assert!(below(Path::new("folder"), path).is_err(), "{path}");
        }
        assert_eq!(below(Path::new("folder"), "letters/a.json").unwrap(), Path::new("folder/letters/a.json"));
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_to_is_tried_again_for_four_hours() {
        let folder = tempfile::tempdir().unwrap();
        let emulator = emulator();
        // A file where the container's folder should be.
        std::fs::write(folder.path().join("letters"), "").unwrap();
        emulator.advance(Duration::from_secs(300));
        let letter = emulator.look(|world, _| world.event_grid.dead_letters().next().unwrap().clone());
        assert!(save(folder.path(), &letter).await.is_err());

        let writer = tokio::spawn(write(emulator.clone(), folder.path().to_owned()));
        std::fs::remove_file(folder.path().join("letters")).unwrap();
        emulator.advance(AGAIN_AFTER);
        while !folder.path().join(letter.path()).exists() {
            tokio::task::yield_now().await;
        }
        writer.abort();
    }
}
