// What the platform calls: the Worker and its objects, as worker-build made them of the Rust beside this, but none of them keeps
// anybody waiting when the script panics.

import Worker, * as objects from "./index.js";
import { mortal } from "./panics.js";

export default mortal(Worker);
export const ConversationObject = mortal(objects.ConversationObject);
export const ConnectionObject = mortal(objects.ConnectionObject);
export const LedgerObject = mortal(objects.LedgerObject);

/** What the script has woken goes on with the next step of the runtime. Its own function for that makes an object of each wake. */
const settled = Promise.resolve();
globalThis.queueMicrotask = (step) => {
  settled.then(step);
};
