// The WebSocket: opened again whenever it breaks, and known to live by its answers to pings.

const FIRST_DELAY = 250;
const LONGEST_DELAY = 8_000;
const PING_EVERY = 20_000;
const PONG_WITHIN = 8_000;

export class Line {
	/** `hooks`: `opened()`, `frame(frame)`, `changed(state)` with `open`, `connecting` or `broken`. */
	constructor(hooks) {
		this.hooks = hooks;
		this.delay = FIRST_DELAY;
		addEventListener("online", () => this.hurry());
		document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.hurry());
	}

	/** Opens a line in place of the one there is. `address()` is asked before each try: it may hold a ticket. */
	open(address) {
		this.close();
		this.address = address;
		this.connect();
	}

	close() {
		clearTimeout(this.timer);
		clearTimeout(this.pinging);
		const socket = this.socket;
		this.trial = this.socket = undefined;
		socket?.close();
	}

	/** Sends a frame; whether there was a line to send it on. */
	send(frame) {
		if (this.socket?.readyState !== WebSocket.OPEN) return false;
		this.socket.send(JSON.stringify(frame));
		return true;
	}

	/** Tries at once what would be tried later. */
	hurry() {
		if (this.address && !this.socket && !this.trial) {
			this.delay = FIRST_DELAY;
			this.connect();
		}
	}

	async connect() {
		clearTimeout(this.timer);
		this.hooks.changed("connecting");
		const trial = (this.trial = {});
		const address = await this.address().catch(() => undefined);
		if (this.trial !== trial) return;
		this.trial = undefined;
		if (!address) return this.broke();
		const socket = new WebSocket(address);
		this.socket = socket;
		const isCurrent = () => this.socket === socket;
		socket.onopen = () => {
			if (!isCurrent()) return;
			this.delay = FIRST_DELAY;
			this.hooks.changed("open");
			this.hooks.opened();
			this.listen(socket);
		};
		socket.onmessage = ({ data }) => {
			if (!isCurrent()) return;
			this.listen(socket);
			const frame = JSON.parse(data);
			if (frame.type !== "pong") this.hooks.frame(frame);
		};
		socket.onclose = () => isCurrent() && this.broke();
	}

	/** Asks for a sign of life after a silence, and gives the socket up without one. */
	listen(socket) {
		clearTimeout(this.pinging);
		this.pinging = setTimeout(() => {
			this.send({ type: "ping" });
			this.pinging = setTimeout(() => {
				if (this.socket !== socket) return;
				socket.close();
				this.broke();
			}, PONG_WITHIN);
		}, PING_EVERY);
	}

	broke() {
		clearTimeout(this.pinging);
		this.socket = undefined;
		this.hooks.changed("broken");
		this.timer = setTimeout(() => this.connect(), this.delay * (0.5 + Math.random() / 2));
		this.delay = Math.min(this.delay * 2, LONGEST_DELAY);
	}
}
