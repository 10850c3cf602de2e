// The Edge Function bubble_sync: check the caller's key, drain the queue, answer with counts.
import { drain } from "./drain.ts";
import { mayCall } from "./keys.ts";
import { Queue, type Status } from "./queue.ts";
import { work } from "./work.ts";

const STATUS: ReadonlyMap<unknown, Status> = new Map([
  ["process_queue_data_api", "pending"],
  ["retry_failed", "failed"],
]);
const REQUIRED = ["SUPABASE_URL", "BUBBLE_WORKFLOW_URL"];

function refused(status: number, error: string): Response {
  return Response.json({ success: false, error }, { status });
}

/** Return a whole number from 1 up, or undefined for an absent one; throw for anything else. */
function count(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1) throw new TypeError();
  return value;
}

async function answer(request: Request): Promise<Response> {
  if (!mayCall(request.headers)) return refused(401, "no valid key");
  const unset = REQUIRED.filter((name) => !Deno.env.get(name));
  if (unset.length > 0) return refused(500, `not set: ${unset.join(", ")}`);

  let status: Status | undefined;
  let limit: number | undefined;
  let batchSize: number | undefined;
  try {
    const { action, payload } = await request.json();
    status = STATUS.get(action);
    limit = count(payload?.limit);
    batchSize = count(payload?.batch_size);
  } catch {
    return refused(400, "the body is not {action, payload: {limit, batch_size}}");
  }
  if (!status) return refused(400, `unknown action; known are ${[...STATUS.keys()].join(", ")}`);

  try {
    const counts = await drain(Queue.fromEnvironment(), work, { status, limit, batchSize });
    return Response.json({ success: true, claimed: true, ...counts });
  } catch (error) {
    console.error(error);
    return refused(500, "the queue did not answer; items at work are due again when their lease has run out");
  }
}

Deno.serve(answer);
