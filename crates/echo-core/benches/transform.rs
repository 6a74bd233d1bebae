//! Compares the speed of two conversions to upper case: the one of this crate, and the one of the standard
//! library.
//!
//! Each round measures both conversions of the same text, so a change of the machine's speed affects both.
//! Each round gives one ratio of the two speeds, and the result is the median of these ratios. The program
//! marks a result below the minimum, and its exit status is then 1.
//!
//! The absolute speed has a minimum too ([`MIN_SPEED`]), because it limits the work that a sender of expensive
//! text can cause. The program compares this minimum with the fastest round, because other programs on the
//! machine slow down the other rounds.

use bytes::BytesMut;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Length of the text in bytes: the maximum that the TCP server reads in one call.
const TEXT_LEN: usize = 16 * 1024;

/// Length in bytes of the longest UDP payload in an Ethernet frame: the maximum transmission unit of 1,500 bytes
/// minus the headers of IPv4 and UDP.
const DATAGRAM_LEN: usize = 1472;

/// Minimum speed of our conversion for every text, in gigabytes of text per second.
const MIN_SPEED: f64 = 0.3;

const ROUNDS: usize = 41;

/// Approximate time for our conversion in one round, much longer than the time to read the clock.
const ROUND_DURATION: Duration = Duration::from_millis(3);

struct Case {
    name: &'static str,
    /// The text repeats this pattern.
    pattern: &'static str,
    /// Length of the text in bytes.
    len: usize,
    /// Minimum of our speed divided by the speed of the standard library.
    min_ratio: f64,
}

const CASES: [Case; 11] = [
    Case {
        name: "ASCII",
        pattern: "The quick brown fox jumps over the lazy dog, and measures how long that took. ",
        len: TEXT_LEN,
        min_ratio: 0.9,
    },
    Case {
        name: "accented Latin",
        pattern: "Dès l'été, un garçon naïf goûta où ça fermentait; größere Übung für später, \
               år efter år på øya, y el niño señaló más allá; zażółć gęślą jaźń. ",
        len: TEXT_LEN,
        min_ratio: 4.0,
    },
    Case {
        name: "Greek",
        pattern: "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία, και μετρώ πόσο χρόνο πήρε η απάντηση. ",
        len: TEXT_LEN,
        min_ratio: 4.0,
    },
    Case {
        name: "Cyrillic",
        pattern: "Съешь же ещё этих мягких французских булок, да выпей чаю, и измерь задержку. ",
        len: TEXT_LEN,
        min_ratio: 4.0,
    },
    Case {
        name: "CJK",
        pattern: "天地玄黄，宇宙洪荒。日月盈昃，辰宿列張。いろはにほへと ちりぬるを。다람쥐 헌 쳇바퀴에 타고파. ",
        len: TEXT_LEN,
        min_ratio: 4.0,
    },
    Case {
        name: "with emoji",
        pattern: "crab 🦀 sends ✉️ and waits ⏳, then 🎉! smile 😀 done 🚀 ok 👍🏽 ",
        len: TEXT_LEN,
        min_ratio: 4.0,
    },
    Case {
        // The upper case of this character has the factor `MAX_GROWTH`.
        name: "U+0390, datagram",
        pattern: "\u{390}",
        len: DATAGRAM_LEN,
        min_ratio: 2.0,
    },
    Case { name: "U+0390", pattern: "\u{390}", len: TEXT_LEN, min_ratio: 2.0 },
    Case { name: "shorter", pattern: "ﬁﬂﬃﬄⱥⱦı", len: TEXT_LEN, min_ratio: 2.0 },
    Case {
        name: "all lengths",
        pattern: "ŉa ΐ ᾷ 1 ﬃ naïve ẖ ⱥ 天地 ɐ ß ᾳ the quick brown fox jumps ı 🦀 és ǰ ΰ ж ",
        len: TEXT_LEN,
        min_ratio: 2.0,
    },
    Case { name: "random characters", pattern: "", len: TEXT_LEN, min_ratio: 2.0 },
];

fn main() -> ExitCode {
    println!(
        "upper case of {TEXT_LEN} bytes (datagram: {DATAGRAM_LEN}), medians of {ROUNDS} rounds"
    );
    println!("ASCII: compared with make_ascii_uppercase in place; others: with str::to_uppercase");
    println!("minimum of the fastest round for every text: {MIN_SPEED} GB/s\n");
    println!(
        "{:<18}{:>10}{:>10}{:>10}{:>9}{:>10}",
        "text", "std GB/s", "ours", "fastest", "ratio", "minimum"
    );
    let mut reached = 0;
    for case in &CASES {
        let text = text(case);
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
        let fastest = rounds.iter().map(|(_, ours)| *ours).fold(0.0, f64::max);
        let is_reached = ratio >= case.min_ratio && fastest >= MIN_SPEED;
        reached += usize::from(is_reached);
        println!(
            "{:<18}{std_speed:>10.2}{our_speed:>10.2}{fastest:>10.2}{ratio:>8.2}x{:>9.1}x{}",
            case.name,
            case.min_ratio,
            if is_reached { "" } else { "  BELOW MINIMUM" }
        );
    }
    println!("\n{reached} of {} minimum values reached", CASES.len());
    if reached == CASES.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn text(case: &Case) -> String {
    let mut text = if case.pattern.is_empty() {
        random_text(case.len)
    } else {
        case.pattern.repeat(case.len / case.pattern.len() + 1)
    };
    text.truncate(text.floor_char_boundary(case.len));
    text
}

/// Characters in an order that the processor cannot predict: half of them are ASCII, and half have another
/// upper case.
fn random_text(min_len: usize) -> String {
    let changing: Vec<char> = ('\u{80}'..=char::MAX)
        .filter(|character| !character.to_uppercase().eq([*character]))
        .collect();
    let mut text = String::new();
    // A linear congruential generator (Knuth, MMIX). Each run has the same text.
    let mut state = 1_u64;
    while text.len() < min_len {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = usize::try_from(state >> 33).expect("31 bits");
        text.push(if random % 2 == 0 { 'a' } else { changing[random / 2 % changing.len()] });
    }
    text
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
