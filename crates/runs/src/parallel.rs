//! The same work on many things at once.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The fewest things that are worth a second thread.
const FEW: usize = 16;

/// Returns the results of `work` for `items`, in their order: as many shares as there are processors, each worked on by a thread
/// of its own. A few items are one share.
pub fn in_shares<I: Sync, R: Send>(items: &[I], work: impl Fn(&[I]) -> Vec<R> + Sync) -> Vec<R> {
    if items.len() < FEW {
        return work(items);
    }
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    work_shares(items.chunks(items.len().div_ceil(workers)), workers, work)
}

/// Returns the results of `work` for each of `shares`, in their order, with at most `threads` at work. A
/// thread that is not to be had makes it slower.
pub fn work_shares<S: Send, R: Send>(
    shares: impl Iterator<Item = S> + Send,
    threads: usize,
    work: impl Fn(S) -> Vec<R> + Sync,
) -> Vec<R> {
    let shares = Mutex::new(shares.enumerate());
    let done = Mutex::new(Vec::new());
    let next = || shares.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take_part = || {
        while let Some((number, share)) = next() {
            let results = work(share);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((number, results));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            _ = thread::Builder::new().spawn_scoped(scope, take_part);
        }
        take_part();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let mut items: Vec<u32> = (0..1000).collect();
        for (size, threads) in [(1, 4), (7, 1), (300, 8), (2000, 2)] {
            let doubled = work_shares(items.chunks_mut(size), threads, |share| {
                share.iter_mut().map(|item| *item * 2).collect()
            });
            assert_eq!(doubled, (0..1000).map(|item| item * 2).collect::<Vec<_>>());
        }
        assert!(work_shares(items[..0].chunks(1), 2, <[u32]>::to_vec).is_empty());
    }
}
