//! Tests of the order of service, without sockets and without time.

use super::*;
use std::net::{IpAddr, Ipv4Addr};

const COST: u64 = 100;

fn source(number: u32) -> Source {
    Source::from(IpAddr::V4(Ipv4Addr::from_bits(number)))
}

const HONEST: u32 = 1;
const HOSTILE: u32 = 2;

/// Runs the next task with the cost `cost`. Returns its source.
fn run(queue: &mut FairQueue<u32>, cost: u64) -> Option<Source> {
    let (source, _) = queue.next()?;
    queue.charge(cost);
    Some(source)
}

#[test]
fn first_task_of_a_source_waits_for_at_most_one_task_of_another_source() {
    let mut queue = FairQueue::default();
    for task in 0..256 {
        queue.push(source(HOSTILE), task);
    }
    for round in 0..100 {
        // A task of the hostile source runs while the honest task arrives.
        let (running, task) = queue.next().unwrap();
        assert_eq!(running, source(HOSTILE));
        queue.push(source(HONEST), round);
        queue.charge(10 * COST);
        queue.push(source(HOSTILE), task);
        assert_eq!(run(&mut queue, COST), Some(source(HONEST)), "round {round}");
    }
}

#[test]
fn sources_share_the_service_by_cost_and_not_by_number_of_tasks() {
    let mut queue = FairQueue::default();
    for task in 0..256 {
        queue.push(source(HOSTILE), task);
    }
    queue.push(source(HONEST), 0);
    let mut service = HashMap::from([(source(HONEST), 0), (source(HOSTILE), 0)]);
    for _ in 0..1000 {
        let (served, task) = queue.next().unwrap();
        let cost = if served == source(HOSTILE) { 16 * COST } else { COST };
        queue.push(served, task);
        queue.charge(cost);
        *service.get_mut(&served).unwrap() += cost;
        let (honest, hostile): (u64, u64) = (service[&source(HONEST)], service[&source(HOSTILE)]);
        assert!(honest.abs_diff(hostile) <= 16 * COST, "{honest} {hostile}");
    }
}

#[test]
fn source_without_tasks_receives_no_credit_for_this_time() {
    let mut queue = FairQueue::default();
    queue.push(source(3), 0);
    run(&mut queue, COST);
    for task in 0..2000 {
        queue.push(source(HOSTILE), task);
    }
    for _ in 0..1000 {
        assert_eq!(run(&mut queue, COST), Some(source(HOSTILE)));
    }
    // The third source has used nothing meanwhile. It returns with many tasks, and receives only half of the service.
    for task in 0..1000 {
        queue.push(source(3), task);
    }
    let served = (0..100).filter(|_| run(&mut queue, COST) == Some(source(3))).count();
    assert!((49..=51).contains(&served), "{served}");
}

#[test]
fn source_that_returns_at_once_does_not_delay_others_without_end() {
    let mut queue = FairQueue::default();
    queue.push(source(HONEST), 0);
    queue.push(source(3), 0);
    run(&mut queue, COST);
    queue.push(source(HONEST), 1);
    // The hostile source never has more than one task. After each task, it leaves the queue and returns.
    let mut steps = 0;
    loop {
        queue.push(source(HOSTILE), 0);
        if run(&mut queue, COST) == Some(source(HONEST)) {
            break;
        }
        steps += 1;
        assert!(steps <= 3, "the honest source waits for {steps} tasks");
    }
}

#[test]
fn all_sources_are_equal_again_after_a_time_without_tasks() {
    let mut queue = FairQueue::default();
    for task in 0..1000 {
        queue.push(source(HOSTILE), task);
    }
    while run(&mut queue, COST).is_some() {}
    for task in 0..20 {
        queue.push(source(HOSTILE), task);
        queue.push(source(HONEST), task);
    }
    // A source that has used less service earlier, or that is new, does not have priority.
    queue.push(source(3), 0);
    let served = (0..20).filter(|_| run(&mut queue, COST) == Some(source(HOSTILE))).count();
    assert!((9..=11).contains(&served), "{served}");
}

#[test]
fn connections_of_one_source_are_served_in_order() {
    let mut queue = FairQueue::default();
    for task in 0..10 {
        queue.push(source(HONEST), task);
        queue.push(source(HOSTILE), 100 + task);
    }
    let mut served = Vec::new();
    while let Some((from, task)) = queue.next() {
        if from == source(HONEST) {
            served.push(task);
        }
        queue.charge(COST);
    }
    assert_eq!(served, (0..10).collect::<Vec<_>>());
}

#[test]
fn number_of_sources_is_bounded_and_new_sources_do_not_starve_a_waiting_one() {
    let mut queue = FairQueue::default();
    queue.push(source(HONEST), 0);
    run(&mut queue, COST);
    queue.push(source(HONEST), 1);
    queue.push(source(HONEST), 2);
    // Each new source starts at the virtual time, which is lower than the start time of the honest source.
    let mut honest = 0;
    for number in 100..100_000 {
        queue.push(source(number), 0);
        honest += u32::from(run(&mut queue, COST) == Some(source(HONEST)));
        // One of the tasks has left the queue since the check of the limit.
        assert!(queue.sources.len() <= 2 * (queue.tasks + 1) + MAX_IDLE_SOURCES);
        assert_eq!(queue.sources.len(), queue.indexes.len());
        if honest == 2 {
            break;
        }
    }
    assert_eq!(honest, 2);
}

#[test]
fn closed_connections_leave_the_queue() {
    let mut queue = FairQueue::default();
    for task in 0..100 {
        queue.push(source(HOSTILE), task);
    }
    for closed in 1..=100 {
        queue.note_close(source(HOSTILE), |task| *task < closed);
    }
    assert!(queue.is_empty());
    assert!(queue.next().is_none());
}
