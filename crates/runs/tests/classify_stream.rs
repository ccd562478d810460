//! A log of a gigabyte is classified within 50 MB. Alone in its file, because memory is the process's.

use std::fs;
use std::io::{self, Read};

use larder_runs::Category;
use larder_runs::classify::Rules;
use larder_runs::result::{Exit, Stage};

/// Repeats some text, then says something else.
struct Repeated<'a> {
    text: &'a [u8],
    times: u64,
    end: &'a [u8],
    at: usize,
}

impl Read for Repeated<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.text.len() && self.times > 1 {
            (self.times, self.at) = (self.times - 1, 0);
        } else if self.at == self.text.len() && self.times == 1 {
            (self.times, self.at, self.text) = (0, 0, self.end);
        }
        let length = (&self.text[self.at..]).read(buffer)?;
        self.at += length;
        Ok(length)
    }
}

/// The most memory that this process ever held, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn a_gigabyte_of_log_is_classified_within_50_megabytes() {
    let mut text = String::new();
    for number in 0..8_000 {
        text += &format!(
            "[{number}/8000] cc -O2 -Wall -Iinclude -c src/part{number}/file{number}.c -o obj/file{number}.o\n"
        );
        if number == 0 {
            text += "\u{1b}[1msrc/a.c:1:1: \u{1b}[35mwarning: \u{1b}[0munused variable ‘x’\r\n";
        }
    }
    let times = (1 << 30) / text.len() as u64 + 1;
    let end = "src/b.c:3:7: error: ‘oops’ undeclared\nmake: *** [all] Error 1\n";
    let log = Repeated { text: text.as_bytes(), times, end: end.as_bytes(), at: 0 };
    let exit = Exit { code: Some(2), ..Exit::default() };
    let found = Rules::built_in().classify(Stage::Build, &exit, log).unwrap();
    assert_eq!(found.category, Category::BuildFailure);
    assert_eq!(found.offset, Some(times * text.len() as u64));
    assert_eq!(found.line, Some(times * text.lines().count() as u64 + 1));
    assert_eq!(found.error.as_deref(), Some("src/b.c:3:7: error: ‘oops’ undeclared"));
    // One line that never ends, and a log in which every line says something.
    let line = [b'x'; 1 << 16];
    let log = Repeated { text: &line, times: 1 << 12, end: end.as_bytes(), at: 0 };
    assert!(Rules::built_in().classify(Stage::Build, &exit, log).unwrap().line.is_some());
    let log = Repeated { text: end.as_bytes(), times: 1 << 16, end: b"", at: 0 };
    assert_eq!(Rules::built_in().classify(Stage::Build, &exit, log).unwrap().line, Some(1));
    assert!(peak() < 50_000_000, "{} bytes", peak());
    println!("peak {} bytes", peak());
}
