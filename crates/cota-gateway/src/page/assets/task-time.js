// How long something took, or has taken so far.

import { t } from "./words.js";

const UNITS = [["d", 86_400_000, 3_600_000], ["h", 3_600_000, 60_000], ["m", 60_000, 1000]];

/** Of a step or a task, in words; nothing before it began. */
export function took({ started_at, ended_at }) {
	if (!started_at) return "";
	const isOver = Boolean(ended_at);
	const ms = Math.max(0, (ended_at ?? Date.now()) - started_at);
	const unit = UNITS.find(([, whole]) => ms >= whole);
	if (unit) return t(`took_${unit[0]}`, { n: Math.floor(ms / unit[1]), m: Math.floor((ms % unit[1]) / unit[2]) });
	if (isOver && ms < 1000) return t("took_ms", { n: ms });
	return t("took_s", { n: isOver ? (ms / 1000).toFixed(1) : Math.floor(ms / 1000) });
}
