//! Many offices in one directory, on one core: loading all of them (floor 10 s, goal 2), the memory
//! that each keeps (floor 60 kB, goal 10), reading one of them again (floor 200 ms, goal 20), and a
//! decision among them (floor 20 µs, goal 2). Prints processor time; the count may be given.
#![allow(clippy::unwrap_used, reason = "a panic is a failed bench")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use koukan_dialplan::{
    Caller, Capabilities, Facts, Idle, Loaded, Origin, Plans, Sources, TenantSource,
};

/// An office like the sample with numbers of its own.
fn office(index: usize) -> TenantSource {
    let text = include_str!("../tests/data/acme/office.toml");
    let (text, _) = text.split_once("[[expect]]").unwrap();
    let text = text
        .replace("id = \"acme\"", &format!("id = \"office-{index}\""))
        .replace("031234000", &format!("03{index:07}"))
        .replace("0120000001", &format!("0120{index:06}"));
    let files = vec![(format!("tenants/office-{index}/office.toml"), text)];
    TenantSource { name: format!("office-{index}"), files }
}

/// So many offices are read again, one after the other.
const AGAIN: usize = 50;

/// What this process has had of a processor: others may share the machine.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn main() {
    let count = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(10_000);
    let now = "2026-07-01T10:00:00+09:00".parse().unwrap();
    let all = Capabilities::all();
    let tenants: Vec<TenantSource> = (0..count).map(office).collect();
    let sources = Sources { tenants, ..Sources::default() };
    let before = resident_kb();
    let started = cpu();
    let Loaded { plans, report, .. } = Plans::load_all(&sources, &all, now);
    let loaded = cpu() - started;
    assert!(report.is_ok(), "{report}");
    assert_eq!(plans.tenants().count(), count);
    let after = resident_kb();
    println!(
        "{count} offices loaded: {:.2} s, {:.0} µs each",
        loaded.as_secs_f64(),
        per(loaded, count)
    );
    println!(
        "resident after the load: {:.1} kB each (what the load freed is in it)",
        kb(before, after, count)
    );
    side_by_side(&sources, now);
    let mut again = plans.clone();
    drop(plans);
    // The clock of a process goes on by ticks: one alone would be measured by chance.
    let started = cpu();
    for index in 0..AGAIN {
        let mut one = office(count / 2 + index);
        one.files.iter_mut().for_each(|(_, text)| text.push_str("# a line more\n"));
        let one = Sources { tenants: vec![one], ..Sources::default() };
        let reloaded = again.reload(&one, &all, now);
        assert!(reloaded.report.is_ok() && reloaded.refused.is_empty(), "{}", reloaded.report);
        assert_eq!(reloaded.plans.tenants().count(), count);
        again = reloaded.plans;
    }
    let took = cpu() - started;
    println!("one of them read again: {:.2} ms", per(took, AGAIN) / 1e3);
    decisions(&again, count);
    kept(count, before);
}

/// The same load on every core, by the clock on the wall.
fn side_by_side(sources: &Sources, now: jiff::Timestamp) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let each = |count: usize, job: &(dyn Fn(usize) + Sync)| {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < count)
            {
                job(at);
            }
        };
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    };
    let started = Instant::now();
    let loaded = Plans::load_on(sources, &Capabilities::all(), now, &each);
    let took = started.elapsed();
    assert_eq!(loaded.plans.tenants().count(), sources.tenants.len());
    println!("the same on {threads} cores: {:.2} s on the wall", took.as_secs_f64());
}

/// What the plans keep: a second load beside the first takes what the first left free.
fn kept(count: usize, before: u64) {
    let now = "2026-07-01T10:00:00+09:00".parse().unwrap();
    let loads: Vec<Plans> = (0..4)
        .map(|_| {
            let tenants: Vec<TenantSource> = (0..count / 4).map(office).collect();
            let sources = Sources { tenants, ..Sources::default() };
            Plans::load_all(&sources, &Capabilities::all(), now).plans
        })
        .collect();
    let kept = loads.iter().map(|plans| plans.tenants().count()).sum::<usize>();
    assert_eq!(kept, count / 4 * 4);
    println!(
        "resident with a second set in quarters: {:.1} kB an office",
        kb(before, resident_kb(), count + kept)
    );
}

fn decisions(plans: &Plans, count: usize) {
    let now = "2026-07-01T10:00:00+09:00".parse().unwrap();
    let caller = Caller { number: Some(Arc::from("0455550001")), ..Caller::default() };
    let rounds = 20_000_usize;
    let dids: Vec<String> = (0..rounds).map(|i| format!("03{:07}1", i * 7 % count)).collect();
    let trunks: Vec<Origin> = (0..rounds)
        .map(|i| Origin::Trunk {
            tenant: Some(Arc::from(format!("office-{}", i * 7 % count))),
            trunk: Arc::from("carrier"),
        })
        .collect();
    let started = cpu();
    let mut rung = 0;
    for (called, origin) in dids.iter().zip(&trunks) {
        let facts = Facts { at: now, origin, caller: &caller, called, state: &Idle };
        rung += plans.decide(&facts).steps.len();
    }
    let took = cpu() - started;
    assert!(rung >= rounds);
    println!("a decision among them: {:.2} µs", per(took, rounds));
}

fn per(took: Duration, count: usize) -> f64 {
    took.as_secs_f64() * 1e6 / count.max(1) as f64
}

fn kb(before: u64, after: u64, count: usize) -> f64 {
    after.saturating_sub(before) as f64 / count.max(1) as f64
}
