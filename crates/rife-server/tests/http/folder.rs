//! The data folder: foreign folders, lost and damaged databases, full disks, changed system clocks.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rife_testing::Need;
use serde_json::{Value, json};

use super::support::{Server, files, refusal};

const JOB: &str = "job_00000000000000000000000a";
const OTHER: &str = "job_00000000000000000000000b";

/// Adds a finished job with a result.
fn done_job(server: &Server, id: &str) {
    let folder = server.data.join("jobs").join(id);
    for (name, text) in [("in/00000.mp4", "input"), ("out/result.mp4", "result")] {
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), text).unwrap();
    }
    let listed = json!([{"name": "result.mp4", "label": "a_2X.mp4", "bytes": 6, "media_type": "video/mp4"}]);
    server
        .database()
        .execute(
            "INSERT INTO jobs (id, kind, state, label, inputs, options, created_at, finished_at, files)
             VALUES (?1, 'video', 'done', 'a.mp4', '[]', '{}', 0, 0, ?2)",
            [id, &listed.to_string()],
        )
        .unwrap();
}

fn contents(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = files(folder);
    files.sort();
    files
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_folder_of_somebody_elses_is_refused_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    for (name, files) in [
        ("a", &["jobs/thesis/a.tex", "uploads/photo.jpg", "lock"][..]),
        ("b", &["notes.txt"]),
        ("c", &["rife.db", "uploads/up_00000000000000000000000a.mp4"]),
        (
            "d",
            &["secret", "jobs/job_00000000000000000000000a/out/result.mp4"],
        ),
    ] {
        let data = folder.path().join(name);
        for file in files {
            let path = data.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("my {file}")).unwrap();
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let before = contents(&data);
        let said = refusal(&data);
        assert!(
            said.contains("not empty") && said.contains("new folder"),
            "{said}"
        );
        assert_eq!(contents(&data), before);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        }
    }
}

#[test]
fn what_no_row_has_named_stays_in_the_servers_own_folder() {
    let mine = [
        "jobs/thesis/a.tex",
        "uploads/photo.jpg",
        "jobs/job_00/x",
        "notes.txt",
    ];
    let server = Server::start().again_after(|data| {
        for file in mine {
            fs::create_dir_all(data.join(file).parent().unwrap()).unwrap();
            fs::write(data.join(file), file).unwrap();
        }
    });
    let server = server.again();
    for file in mine {
        assert_eq!(fs::read_to_string(server.data.join(file)).unwrap(), file);
    }
    assert_eq!(server.get("/uploads").json()["items"], json!([]));
}

#[test]
fn a_lost_database_loses_no_upload_and_no_result() {
    let mut server = Server::start();
    let upload = server.upload("a.mp4", b"upload");
    done_job(&server, JOB);
    let lose: [fn(&Path); 3] = [
        |data| {
            for file in ["rife.db", "rife.db-wal", "rife.db-shm"] {
                let _ = fs::remove_file(data.join(file));
            }
        },
        |data| fs::write(data.join("rife.db"), "").unwrap(),
        |data| {
            fs::remove_file(data.join("rife.db")).unwrap();
            fs::remove_file(data.join("rife-server")).unwrap();
            rusqlite::Connection::open(data.join("rife.db"))
                .unwrap()
                .execute_batch(
                    "CREATE TABLE uploads (seq INTEGER PRIMARY KEY, id, name, extension, size, complete, created_at, touched_at);
                     CREATE TABLE jobs (seq INTEGER PRIMARY KEY, id, kind, state, label, inputs, options, created_at,
                        started_at, finished_at, attempts DEFAULT 0, interruptions DEFAULT 0, resumed DEFAULT 0, plan,
                        summary, files, error);
                     PRAGMA user_version = 1",
                )
                .unwrap();
        },
    ];
    for lose in lose {
        server = server.again_after(lose);
        assert_eq!(server.get(&format!("/uploads/{upload}/content")).body, b"upload");
        let shown = server.get(&format!("/uploads/{upload}")).json();
        assert_eq!(
            (&shown["state"], &shown["received"]),
            (&json!("complete"), &json!(6))
        );
        assert!(
            shown["name"].as_str().unwrap().starts_with("recovered_"),
            "{shown}"
        );
        let file = server.get(&format!("/jobs/{JOB}/files/result.mp4"));
        assert_eq!((file.status, &file.body[..]), (200, &b"result"[..]));
        assert_eq!(server.get(&format!("/jobs/{JOB}/inputs/0")).body, b"input");
    }
    // What is adopted is the server's own: it can be deleted.
    assert_eq!(server.delete(&format!("/jobs/{JOB}")).status, 204);
    assert_eq!(server.delete(&format!("/uploads/{upload}")).status, 204);
    assert!(files(&server.data.join("uploads")).is_empty() && files(&server.data.join("jobs")).is_empty());
}

#[test]
fn a_database_that_is_not_understood_is_refused_and_kept() {
    let version = |data: &Path| {
        let database = rusqlite::Connection::open(data.join("rife.db")).unwrap();
        database.pragma_update(None, "user_version", 99).unwrap();
    };
    let said = Server::start().refused_after(version);
    assert!(
        said.contains("schema 99") && said.contains("newer rife"),
        "{said}"
    );
    let columns = |data: &Path| {
        let database = rusqlite::Connection::open(data.join("rife.db")).unwrap();
        database
            .execute_batch("ALTER TABLE jobs DROP COLUMN summary")
            .unwrap();
    };
    let said = Server::start().refused_after(columns);
    assert!(said.contains("summary"), "{said}");
    let said = Server::start().refused_after(|data| fs::write(data.join("rife.db"), [7; 5000]).unwrap());
    assert!(
        said.contains("cannot be read") && said.contains("backup"),
        "{said}"
    );
}

#[test]
fn a_row_that_cannot_be_read_hides_no_other() {
    let server = Server::start();
    let (good, bad) = (server.upload("a.bin", b"a"), server.upload("b.bin", b"b"));
    done_job(&server, JOB);
    done_job(&server, OTHER);
    let change = |sql: &str, id: &str| assert_eq!(server.database().execute(sql, [id]).unwrap(), 1);
    change("UPDATE uploads SET size = -1 WHERE id = ?1", &bad);
    let ids = |path: &str| -> Vec<Value> {
        let page = server.get(path);
        assert_eq!(page.status, 200, "{}", page.text());
        let items = page.json()["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["id"].clone()).collect()
    };
    assert_eq!(ids("/uploads"), [json!(good)]);
    for sql in [
        "UPDATE jobs SET inputs = '{' WHERE id = ?1",
        "UPDATE jobs SET inputs = '[]', options = x'ff' WHERE id = ?1",
        "UPDATE jobs SET options = '{}', kind = 'fetch' WHERE id = ?1",
        "UPDATE jobs SET kind = 'video', state = 'lost' WHERE id = ?1",
        "UPDATE jobs SET state = 'queued', attempts = -3 WHERE id = ?1",
    ] {
        change(sql, OTHER);
        assert_eq!(ids("/jobs"), [json!(JOB)], "{sql}");
        assert_eq!(
            ids("/jobs?limit=1").len() + ids("/jobs?limit=2").len(),
            1,
            "{sql}"
        );
        assert_eq!(server.get("/health").status, 200);
        assert_eq!(server.get("/metrics").status, 200);
        server.get(&format!("/jobs/{OTHER}")).refused(500, "internal");
    }
    // The queue goes on, uploads are taken, and what cannot be read can be deleted.
    let start = Instant::now();
    let state = || -> String {
        let sql = "SELECT state FROM jobs WHERE id = ?1";
        server
            .database()
            .query_row(sql, [OTHER], |row| row.get(0))
            .unwrap()
    };
    while state() != "failed" {
        assert!(start.elapsed() < Duration::from_secs(10), "{}", state());
        std::thread::sleep(Duration::from_millis(50));
    }
    server.upload("c.bin", b"c");
    assert_eq!(server.delete(&format!("/jobs/{OTHER}")).status, 204);
    assert_eq!(server.delete(&format!("/uploads/{bad}")).status, 204);
    assert_eq!(files(&server.data.join("uploads")).len(), 2);
}

#[test]
fn a_job_whose_end_cannot_be_written_down_has_ended_all_the_same() {
    let server = Server::start();
    let refuse =
        "CREATE TRIGGER full BEFORE UPDATE OF finished_at ON jobs BEGIN SELECT RAISE(ABORT, 'full'); END";
    server.database().execute_batch(refuse).unwrap();
    // Its input is missing, so it fails at once.
    let inputs = json!([{"name": "a.mp4", "extension": "mp4", "bytes": 1, "upload": null, "job": null}]);
    let add = "INSERT INTO jobs (id, kind, state, label, inputs, options, created_at)
               VALUES (?1, 'reencode', 'queued', 'a.mp4', ?2, '{}', 0)";
    server
        .database()
        .execute(add, [JOB, &inputs.to_string()])
        .unwrap();
    let job = server.wait(JOB, |job| job["state"] == "failed");
    assert!(
        job["error"]["code"].is_string() && job["finished_at"].is_string(),
        "{job}"
    );
    assert_eq!(server.get("/jobs").json()["items"][0]["state"], "failed");
    assert_eq!(
        server.post(&format!("/jobs/{JOB}/cancel"), &json!({})).json()["state"],
        "failed"
    );
    server
        .post(&format!("/jobs/{JOB}/retry"), &json!({}))
        .refused(507, "quota");
    server.database().execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(server.post(&format!("/jobs/{JOB}/retry"), &json!({})).status, 200);
    server.wait(JOB, |job| job["state"] == "failed" && job["attempts"] == 2);
}

/// On a full file system (a mounted image): a job still ends, and uploads and jobs can be deleted.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_does_not_stop_ends_and_deletions() {
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("disk");
    fs::create_dir(&place).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
        .arg(&place)
        .output();
    let mounted = mounted.is_ok_and(|mounted| mounted.status.success());
    if !Need::Mount.is_met(mounted, "this user may not mount a file system") {
        return;
    }
    let server = Server::on(place.join("data"), |config| config.free_space = 0);
    let upload = server.upload("a.bin", b"x");
    done_job(&server, OTHER);
    let inputs = json!([{"name": "a.mp4", "extension": "mp4", "bytes": 1, "upload": null, "job": null}]);
    let database = server.database();
    // Rows to make the log of the database so long that it must grow for the next change.
    let mut fill = fs::File::create(place.join("fill")).unwrap();
    let add = "INSERT INTO jobs (id, kind, state, label, inputs, options, created_at)
               VALUES (?1, 'reencode', 'queued', 'a.mp4', ?2, '{}', 0)";
    database.execute(add, [JOB, &inputs.to_string()]).unwrap();
    while std::io::Write::write_all(&mut fill, &[0; 4096]).is_ok() {}
    server.wait(JOB, |job| job["state"] == "failed");
    assert_eq!(server.delete(&format!("/uploads/{upload}")).status, 204);
    assert_eq!(server.delete(&format!("/jobs/{OTHER}")).status, 204);
    let retried = server.post(&format!("/jobs/{JOB}/retry"), &json!({}));
    assert!(matches!(retried.status, 200 | 507), "{}", retried.text());
    drop((server, database, fill));
    let _ = Command::new("umount").arg(&place).status();
}

/// Simulates a system clock that jumps ahead by moving the times of all rows into the past.
#[test]
fn a_clock_that_jumps_makes_nothing_old() {
    let server = Server::with(|config| config.upload_idle = Duration::from_millis(400));
    let upload = server.upload("a.bin", b"x");
    done_job(&server, JOB);
    let jump = "UPDATE uploads SET created_at = 0, touched_at = 0; UPDATE jobs SET finished_at = 0";
    server.database().execute_batch(jump).unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(server.get(&format!("/uploads/{upload}")).status, 200);
    assert_eq!(server.get(&format!("/jobs/{JOB}")).status, 200);
    let server = server.again();
    assert_eq!(server.get(&format!("/uploads/{upload}")).status, 200);
    assert_eq!(
        server.get(&format!("/jobs/{JOB}/files/result.mp4")).body,
        b"result"
    );
}
