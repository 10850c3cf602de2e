// The work on one item: replace this file with your own. A worker that dies leaves its item to another, so the same item
// can come twice: send its id as the idempotency key, and let Bubble create a thing only once for each.
import type { Item } from "./queue.ts";

/** Send an item to a Bubble workflow; throw the reason of a failure, which the queue keeps in error_message. */
export async function work(item: Item): Promise<void> {
  const { id, record_id, operation, payload } = item;
  let response: Response;
  try {
    response = await fetch(Deno.env.get("BUBBLE_WORKFLOW_URL") ?? "", {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Idempotency-Key": String(id),
        Authorization: `Bearer ${Deno.env.get("BUBBLE_API_TOKEN") ?? ""}`,
      },
      body: JSON.stringify({ record_id, operation, payload }),
      signal: AbortSignal.timeout(8_000),
    });
  } catch (error) {
    // The message of fetch holds the address.
    throw new Error(`Bubble did not answer (${error instanceof Error ? error.name : "unknown"})`);
  }
  await response.body?.cancel();
  if (!response.ok) throw new Error(`Bubble answered HTTP ${response.status}`);
}
