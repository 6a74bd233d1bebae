//! Compares the speed of two conversions to upper case: the one of this crate, and the one of the standard
//! library.
//!
//! Each round measures both conversions of the same text, so a change of the machine's speed affects both.
//! Each round gives one ratio of the two speeds, and the result is the median of these ratios. The program
//! marks a result below the minimum, but its exit status is still 0: it is a measurement, not a test.

use bytes::BytesMut;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Length of the text in bytes: the maximum that the TCP server reads in one call.
const TEXT_LEN: usize = 16 * 1024;

const ROUNDS: usize = 41;

/// Approximate time for our conversion in one round, much longer than the time to read the clock.
const ROUND_DURATION: Duration = Duration::from_millis(3);

struct Case {
    name: &'static str,
    text: &'static str,
    /// Minimum of our speed divided by the speed of the standard library.
    min_ratio: f64,
}

const CASES: [Case; 6] = [
    Case {
        name: "ASCII",
        text: "The quick brown fox jumps over the lazy dog, and measures how long that took. ",
        min_ratio: 0.9,
    },
    Case {
        name: "accented Latin",
        text: "Dès l'été, un garçon naïf goûta où ça fermentait; größere Übung für später, \
               år efter år på øya, y el niño señaló más allá; zażółć gęślą jaźń. ",
        min_ratio: 4.0,
    },
    Case {
        name: "Greek",
        text: "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία, και μετρώ πόσο χρόνο πήρε η απάντηση. ",
        min_ratio: 4.0,
    },
    Case {
        name: "Cyrillic",
        text: "Съешь же ещё этих мягких французских булок, да выпей чаю, и измерь задержку. ",
        min_ratio: 4.0,
    },
    Case {
        name: "CJK",
        text: "天地玄黄，宇宙洪荒。日月盈昃，辰宿列張。いろはにほへと ちりぬるを。다람쥐 헌 쳇바퀴에 타고파. ",
        min_ratio: 4.0,
    },
    Case {
        name: "with emoji",
        text: "crab 🦀 sends ✉️ and waits ⏳, then 🎉! smile 😀 done 🚀 ok 👍🏽 ",
        min_ratio: 4.0,
    },
];

fn main() {
    println!("upper case of {TEXT_LEN} bytes, medians of {ROUNDS} rounds");
    println!(
        "ASCII: compared with make_ascii_uppercase in place; others: with str::to_uppercase\n"
    );
    println!("{:<16}{:>10}{:>10}{:>9}{:>10}", "text", "std GB/s", "ours", "ratio", "minimum");
    let mut reached = 0;
    for case in &CASES {
        let mut text = case.text.repeat(TEXT_LEN / case.text.len() + 1);
        text.truncate(text.floor_char_boundary(TEXT_LEN));
        assert_eq!(upper(&text), text.to_uppercase().as_bytes());

        let is_ascii = text.is_ascii();
        let std = |work: &mut BytesMut| {
            if is_ascii {
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
        let mut work = BytesMut::with_capacity(2 * TEXT_LEN);
        let repeats = repeats(|| ours(&mut work)).max(repeats(|| std(&mut work)) / 4);
        let mut rounds: Vec<(f64, f64)> = (0..ROUNDS)
            .map(|round| {
                // The order alternates between rounds.
                if round % 2 == 0 {
                    let std_speed = speed(&text, repeats, || std(&mut work));
                    (std_speed, speed(&text, repeats, || ours(&mut work)))
                } else {
                    let our_speed = speed(&text, repeats, || ours(&mut work));
                    (speed(&text, repeats, || std(&mut work)), our_speed)
                }
            })
            .collect();
        let std_speed = median(&mut rounds, |(std, _)| *std);
        let our_speed = median(&mut rounds, |(_, ours)| *ours);
        let ratio = median(&mut rounds, |(std, ours)| ours / std);
        let is_reached = ratio >= case.min_ratio;
        reached += usize::from(is_reached);
        println!(
            "{:<16}{std_speed:>10.2}{our_speed:>10.2}{ratio:>8.2}x{:>9.1}x{}",
            case.name,
            case.min_ratio,
            if is_reached { "" } else { "  BELOW MINIMUM" }
        );
    }
    println!("\n{reached} of {} minimum ratios reached", CASES.len());
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

/// Number of calls of `run` in [`ROUND_DURATION`].
fn repeats(mut run: impl FnMut()) -> u32 {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < ROUND_DURATION {
        run();
        count += 1;
    }
    count
}

/// The speed in gigabytes of text per second.
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
