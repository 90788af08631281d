// What the platform calls: the Worker and its objects, as worker-build made them of the Rust beside this, but none of them keeps
// anybody waiting when the script panics.

import Worker, * as objects from "./index.js";
import { mortal } from "./panics.js";

export default mortal(Worker);
export const ConversationObject = mortal(objects.ConversationObject);
export const ConnectionObject = mortal(objects.ConnectionObject);
export const LedgerObject = mortal(objects.LedgerObject);
