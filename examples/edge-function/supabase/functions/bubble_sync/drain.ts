// Claim batch after batch and work on each item, until the queue is empty, the limit is reached or the time is over.
import type { Item, Queue, Status } from "./queue.ts";

/** The last claim begins before this time; with the work's own limit (work.ts) the answer comes within pg_net's 30 s. */
const CLAIMING_MS = 20_000;
/** At most so many items are at work at a time. */
const LARGEST_BATCH = 100;

export interface Wanted {
  status: Status;
  /** The most items of this call; undefined for all. */
  limit?: number;
  /** The number of items at work at a time. */
  batchSize?: number;
}

export interface Counts {
  /** Items that this call finished, failed ones included. */
  processed: number;
  failed: number;
  /** Items that another worker has now, since this one was slower than its lease. */
  late: number;
}

export async function drain(queue: Queue, work: (item: Item) => Promise<void>, wanted: Wanted): Promise<Counts> {
  const end = Date.now() + CLAIMING_MS;
  const counts: Counts = { processed: 0, failed: 0, late: 0 };
  const batchSize = Math.min(wanted.batchSize ?? 5, LARGEST_BATCH);
  let left = wanted.limit ?? Infinity;
  await queue.requeueStalled();
  while (left > 0 && Date.now() < end) {
    const items = await queue.claim(wanted.status, Math.min(batchSize, left));
    if (items.length === 0) break;
    left -= items.length;
    // All of them end before an error leaves this function: no item is at work after the answer.
    const outcomes = await Promise.allSettled(items.map((item) => finish(queue, item, work)));
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") throw outcome.reason;
      if (outcome.value === "late") counts.late += 1;
      else counts.processed += 1;
      if (outcome.value === "failed") counts.failed += 1;
    }
  }
  return counts;
}

async function finish(
  queue: Queue,
  item: Item,
  work: (item: Item) => Promise<void>,
): Promise<"completed" | "failed" | "late"> {
  try {
    await work(item);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return await queue.fail(item, message) ? "failed" : "late";
  }
  return await queue.complete(item) ? "completed" : "late";
}
