//! Parsers of option values that only the command line has.

use std::time::Duration;

use rife::media::sink::{MAX_SHARDS, Shard};
use rife::options::{FromValue, Kind, Refusal};

/// Parses a width and height: `1280x768`.
pub(crate) fn size(text: &str) -> Result<[u32; 2], Refusal> {
    <[u32; 2]>::from_value(&Kind::Size.parse(text)?)
}

/// Parses an interval of 0.05 to 3600 seconds.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    seconds
        .filter(|seconds| (0.05..=3600.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number of seconds from 0.05 to 3600".into())
}

/// Parses a length of time: `90`, `90s`, `30m`, `2h`, `1.5d`; at most 100 days.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let units = [('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', 86_400.0)];
    let unit = units.into_iter().find(|(letter, _)| text.ends_with(*letter));
    let (number, unit) = unit.map_or((text, 1.0), |(letter, unit)| {
        (text.strip_suffix(letter).unwrap_or(text), unit)
    });
    let seconds = number.parse::<f64>().ok().map(|number| number * unit);
    seconds
        .filter(|seconds| (0.0..=8_640_000.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a length of time up to 100 days, such as 90s, 30m or 2h".into())
}

/// Parses a shard's number and the number of shards: `2/8`, or `auto` for those of the scheduler's job array.
pub(crate) fn shard(text: &str) -> Result<Shard, String> {
    if text == "auto" {
        return array_task(|name| std::env::var(name).ok());
    }
    let numbers = text
        .split_once('/')
        .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    numbers
        .filter(|&(index, count)| (1..=count).contains(&index) && count <= MAX_SHARDS)
        .map(|(index, count)| Shard { index, count })
        .ok_or_else(|| "I/N with I from 1 to N and N up to 10000, such as 2/8, or auto".into())
}

/// Returns the shard of a job array's task by the variables of Slurm, AWS Batch or Kubernetes; `variable` looks one up.
fn array_task(variable: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let number = |name: &str| -> Result<Option<u64>, String> {
        let Some(text) = variable(name) else {
            return Ok(None);
        };
        let parsed = text.trim().parse().map(Some);
        parsed.map_err(|_| format!("{name} is {text:?}, which is no number"))
    };
    // Name of the task's index, of the number of tasks, and the first index and step.
    let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
    let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
    for (index_name, count_name, first, step) in [
        ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", first, step),
        ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", 0, 1),
        ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", 0, 1),
    ] {
        let Some(index) = number(index_name)? else {
            continue;
        };
        let count = number(count_name)?.ok_or_else(|| {
            format!("{index_name} is {index}, but {count_name}, the number of tasks, is not set")
        })?;
        let past = index.checked_sub(first).filter(|past| past % step == 0);
        let place = past.map(|past| past / step + 1).filter(|place| *place <= count);
        let place = place.ok_or_else(|| {
            format!("{index_name} is {index} of {count} tasks from {first} on: the array must be a range without gaps")
        })?;
        return shard(&format!("{place}/{count}"));
    }
    Err("auto needs a job array: SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, AWS_BATCH_JOB_ARRAY_INDEX and \
         AWS_BATCH_JOB_ARRAY_SIZE, or JOB_COMPLETION_INDEX and JOB_COMPLETIONS"
        .to_owned())
}

/// Parses a SHA-256 in hexadecimal; returns it in lower case.
pub(crate) fn sha256(text: &str) -> Result<String, String> {
    let hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a SHA-256 is 64 hexadecimal digits".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_units() {
        let seconds = |text| duration(text).ok().map(|time| time.as_secs_f64());
        assert_eq!([seconds("90"), seconds("90s")], [Some(90.0); 2]);
        assert_eq!([seconds("1.5m"), seconds("2h")], [Some(90.0), Some(7200.0)]);
        for bad in ["", "s", "-1s", "1w", "nan", "infs", "101d"] {
            assert!(
                duration(bad).is_err_and(|text| text.contains("such as 90s")),
                "{bad}"
            );
        }
    }

    #[test]
    fn shards_of_job_arrays() {
        let task = |variables: &[(&str, &str)]| {
            array_task(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let slurm = |id| {
            task(&[
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_COUNT", "4"),
                ("SLURM_ARRAY_TASK_MIN", "10"),
                ("SLURM_ARRAY_TASK_STEP", "5"),
            ])
        };
        assert_eq!(slurm("10"), Ok(Shard { index: 1, count: 4 }));
        assert_eq!(slurm("25"), Ok(Shard { index: 4, count: 4 }));
        assert!(slurm("12").is_err() && slurm("30").is_err() && slurm("5").is_err() && slurm("x").is_err());
        let aws = [
            ("AWS_BATCH_JOB_ARRAY_INDEX", "0"),
            ("AWS_BATCH_JOB_ARRAY_SIZE", "3"),
        ];
        assert_eq!(task(&aws), Ok(Shard { index: 1, count: 3 }));
        let kubernetes = [("JOB_COMPLETION_INDEX", "2"), ("JOB_COMPLETIONS", "3")];
        assert_eq!(task(&kubernetes), Ok(Shard { index: 3, count: 3 }));
        assert!(task(&kubernetes[..1]).is_err_and(|text| text.contains("JOB_COMPLETIONS")));
        assert!(task(&[]).is_err_and(|text| text.contains("SLURM_ARRAY_TASK_ID")));
    }

    #[test]
    fn shards_sizes_times_and_hashes() {
        assert_eq!(shard("2/8"), Ok(Shard { index: 2, count: 8 }));
        assert!(shard("0/8").is_err() && shard("9/8").is_err() && shard("2").is_err());
        assert_eq!(size("1280x768"), Ok([1280, 768]));
        assert!(size("1280").is_err());
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        assert!(interval("0").is_err() && sha256("00").is_err());
    }
}
