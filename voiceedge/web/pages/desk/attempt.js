// What agents ask for is tried, and told in words where it fails.

import { Refused } from "./api.js";
import { toast } from "./toast.js";
import { t } from "./words.js";

/** Do `work`, and tell what went wrong; whether it succeeded. Where the login is over, the window hears "login-over". */
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) dispatchEvent(new Event("login-over"));
    else toast(words(error), "bad");
    return false;
  }
}

function words(error) {
  const known = error.status === 404 ? t("not_yours") : t(error.code);
  return known === error.code ? error.message || t("failed") : known;
}
