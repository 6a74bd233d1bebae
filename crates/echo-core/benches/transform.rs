//! The transform against the standard library, on the same text in the same run.
//!
//! The rounds of the two are interleaved, so that a machine that changes its speed changes both; what
//! is printed is the median of the ratios, pair by pair. A figure that falls short of its bound is
//! marked, and nothing fails: this is a measurement, not a test.

use bytes::BytesMut;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// As much as the servers take from a stream at once.
const LENGTH: usize = 16 * 1024;

const ROUNDS: usize = 41;

/// How long one round of one side lasts, about: long against the clock's own cost.
const ROUND: Duration = Duration::from_millis(3);

struct Case {
    name: &'static str,
    text: &'static str,
    bound: f64,
}

const CASES: [Case; 6] = [
    Case {
        name: "ASCII",
        text: "The quick brown fox jumps over the lazy dog, and measures how long that took. ",
        bound: 0.9,
    },
    Case {
        name: "accented Latin",
        text: "Dès l'été, un garçon naïf goûta où ça fermentait; größere Übung für später, \
               år efter år på øya, y el niño señaló más allá; zażółć gęślą jaźń. ",
        bound: 4.0,
    },
    Case {
        name: "Greek",
        text: "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία, και μετρώ πόσο χρόνο πήρε η απάντηση. ",
        bound: 4.0,
    },
    Case {
        name: "Cyrillic",
        text: "Съешь же ещё этих мягких французских булок, да выпей чаю, и измерь задержку. ",
        bound: 4.0,
    },
    Case {
        name: "CJK",
        text: "天地玄黄，宇宙洪荒。日月盈昃，辰宿列張。いろはにほへと ちりぬるを。다람쥐 헌 쳇바퀴에 타고파. ",
        bound: 4.0,
    },
    Case {
        name: "with emoji",
        text: "crab 🦀 sends ✉️ and waits ⏳, then 🎉! smile 😀 done 🚀 ok 👍🏽 ",
        bound: 4.0,
    },
];

fn main() {
    println!("upper case of {LENGTH} bytes, medians of {ROUNDS} interleaved rounds");
    println!("ASCII against make_ascii_uppercase in place, the rest against str::to_uppercase\n");
    println!("{:<16}{:>10}{:>10}{:>9}{:>10}", "text", "std GB/s", "ours", "ratio", "at least");
    let mut held = 0;
    for case in &CASES {
        let mut text = case.text.repeat(LENGTH / case.text.len() + 1);
        text.truncate(text.floor_char_boundary(LENGTH));
        assert_eq!(upper(&text), text.to_uppercase().as_bytes());

        let ascii = text.is_ascii();
        let std = |work: &mut BytesMut| {
            if ascii {
                refill(work, &text);
                work.make_ascii_uppercase();
                black_box(&work[..]);
            } else {
                black_box(black_box(text.as_str()).to_uppercase());
            }
        };
        let ours = |work: &mut BytesMut| {
            refill(work, &text);
            echo_core::uppercase(work);
            black_box(&work[..]);
        };
        let mut work = BytesMut::with_capacity(2 * LENGTH);
        let repeats = repeats(|| ours(&mut work)).max(repeats(|| std(&mut work)) / 4);
        let mut rounds: Vec<(f64, f64)> = (0..ROUNDS)
            .map(|round| {
                // Which of the two goes first alternates.
                if round % 2 == 0 {
                    let a = speed(&text, repeats, || std(&mut work));
                    (a, speed(&text, repeats, || ours(&mut work)))
                } else {
                    let b = speed(&text, repeats, || ours(&mut work));
                    (speed(&text, repeats, || std(&mut work)), b)
                }
            })
            .collect();
        let std_speed = median(&mut rounds, |(std, _)| *std);
        let our_speed = median(&mut rounds, |(_, ours)| *ours);
        let ratio = median(&mut rounds, |(std, ours)| ours / std);
        let holds = ratio >= case.bound;
        held += usize::from(holds);
        println!(
            "{:<16}{std_speed:>10.2}{our_speed:>10.2}{ratio:>8.2}x{:>9.1}x{}",
            case.name,
            case.bound,
            if holds { "" } else { "  FALLS SHORT" }
        );
    }
    println!("\n{held} of {} bounds held", CASES.len());
}

fn upper(text: &str) -> BytesMut {
    let mut upper = BytesMut::from(text);
    echo_core::uppercase(&mut upper);
    upper
}

fn refill(work: &mut BytesMut, text: &str) {
    work.clear();
    work.extend_from_slice(black_box(text.as_bytes()));
}

/// How often `run` fits into a round.
fn repeats(mut run: impl FnMut()) -> u32 {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < ROUND {
        run();
        count += 1;
    }
    count
}

/// Gigabytes of text a second.
fn speed(text: &str, repeats: u32, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..repeats {
        run();
    }
    let bytes = f64::from(repeats) * f64::from(u32::try_from(text.len()).expect("16 KiB"));
    bytes / start.elapsed().as_secs_f64() / 1e9
}

fn median<T>(rounds: &mut [T], figure: impl Fn(&T) -> f64) -> f64 {
    rounds.sort_by(|a, b| figure(a).total_cmp(&figure(b)));
    figure(&rounds[rounds.len() / 2])
}
