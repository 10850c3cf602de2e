// The queue, through the functions of sql/reference/claim.sql.

export type Status = "pending" | "failed";

/** A claimed row of public.sync_queue, with every column of the table. */
export interface Item {
  id: string | number;
  record_id: string;
  operation: string;
  claim_token: string;
  [column: string]: unknown;
}

export class Queue {
  readonly #url: string;
  readonly #headers: Record<string, string>;

  constructor(url: string, key: string) {
    this.#url = `${url}/rest/v1/rpc/`;
    this.#headers = { "Content-Type": "application/json", apikey: key };
    // A secret key is no JWT: as a Bearer it is rejected.
    if (!key.startsWith("sb_secret_")) this.#headers.Authorization = `Bearer ${key}`;
  }

  /** Use the address and the key that Supabase gives to each function. */
  static fromEnvironment(): Queue {
    const secretKeys: Record<string, string> = JSON.parse(Deno.env.get("SUPABASE_SECRET_KEYS") || "{}");
    const key = Object.values(secretKeys)[0] ?? Deno.env.get("SUPABASE_SERVICE_ROLE_KEY");
    if (!key) throw new Error("neither SUPABASE_SECRET_KEYS nor SUPABASE_SERVICE_ROLE_KEY has a key");
    return new Queue(Deno.env.get("SUPABASE_URL") ?? "", key);
  }

  claim(from_status: Status, most: number): Promise<Item[]> {
    return this.#call("sync_queue_claim", { from_status, most });
  }

  /** Return false when another worker has the item now. */
  complete(item: Item): Promise<boolean> {
    return this.#call("sync_queue_complete", { item_id: item.id, token: item.claim_token });
  }

  /** Return false when another worker has the item now. */
  fail(item: Item, message: string): Promise<boolean> {
    return this.#call("sync_queue_fail", { item_id: item.id, token: item.claim_token, message });
  }

  /** Return the number of items whose worker did not finish within its lease. */
  requeueStalled(): Promise<number> {
    return this.#call("sync_queue_requeue_stalled", {});
  }

  async #call<T>(name: string, values: Record<string, unknown>): Promise<T> {
    const response = await fetch(this.#url + name, {
      method: "POST",
      headers: this.#headers,
      body: JSON.stringify(values),
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`${name}: HTTP ${response.status} ${(await response.text()).slice(0, 300)}`);
    return await response.json();
  }
}
