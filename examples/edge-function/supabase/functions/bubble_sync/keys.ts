// Who may call: a comparison with the keys in BUBBLE_SYNC_KEYS, separated by commas. Without a key no caller is served.
import { createHash, timingSafeEqual } from "node:crypto";

const KEYS = (Deno.env.get("BUBBLE_SYNC_KEYS") ?? "").split(",").map((key) => key.trim()).filter(Boolean);

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** Return whether a request has a secret key as `apikey`, or a legacy key as Bearer. */
export function mayCall(headers: Headers): boolean {
  const apikey = digest(headers.get("apikey") ?? "");
  const bearer = digest(headers.get("authorization") ?? "");
  // Digests are of one length, and each key is compared: the time does not depend on the key.
  const matches = KEYS.map((key) =>
    key.startsWith("sb_secret_")
      ? timingSafeEqual(apikey, digest(key))
      : timingSafeEqual(bearer, digest(`Bearer ${key}`))
  );
  return matches.includes(true);
}
