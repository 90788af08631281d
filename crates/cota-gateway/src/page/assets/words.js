// The page's words in its two languages.

import { read, write } from "./memory.js";

export const WORDS = {
	en: {
		skip: "Skip to the message field", tasks: "Tasks", conversations: "Conversations", bot: "Bot", theme: "Switch between light and dark",
		inspector: "Inspector", fresh: "New conversation", kept: "Kept in this browser.", chat: "Chat", messages: "Messages",
		empty: "Say something.", hint: "What the bot does, and why, appears in the inspector.", typing: "The bot is typing",
		latest: "New messages ↓", message: "Message", write: "Write a message", send: "Send",
		keys: "Enter sends, Shift+Enter breaks the line", back: "Back to the chat", turns: "Turns", quiet: "Nothing has happened yet.",
		untitled: "Empty conversation", forget: "Forget “{title}”", sure: "Forget this conversation, here and on the server?",
		open: "Connected", connecting: "Connecting …", broken: "No connection. Trying again …",
		sending: "Sending …", unsent: "Not sent.", retry: "Send again", why: "Why?", whyLabel: "Why did the bot say: {text}", you: "You",
		superseded: "Overtaken by a later message.", cancelled: "Cancelled.", forgotten: "This conversation was forgotten.",
		refused: "The inspector needs the scope “inspect”.", image: "Image",
		activeForm: "Active form", noForm: "No active form", unknown: "not known",
		replied: "replied", fallback: "fallback reply", relayed: "passed on", stopped: "stopped", running: "running …",
		ms: "{n} ms", calls1: "1 LLM call", calls: "{n} LLM calls", tokens: "{sent} tokens in, {got} out",
		callTokens: "{sent} → {got} tokens",
		kindUser: "User", kindRule: "Rule", kindLlm: "LLM", kindSelector: "Selector", kindTool: "Tool call", kindForm: "Form",
		kindFallback: "Fallback", kindOther: "Note",
		user: "the user spoke", proxy_user: "the proxy user spoke", trigger: "the rule “{rule}” says so", llm: "the LLM was asked what to do",
		selector: "the Selector chose it", tools: "the LLM called it as a tool", slot: "{form} misses “{slot}”",
		interrupted: "another action took its place", fallbackCause: "{reason}",
		start: "slots missing", continue: "slots still missing", end: "executed", break: "left",
		chose: "chose {action}", thought: "Thought", error: "Error", slotsChanged: "Slots", before: "before", after: "after",
		examples1: "1 example dialogue in the prompt", examples: "{n} example dialogues in the prompt", more: "Also returned",
		ctlCancelled: "Cancelled: {reason}", ctlSuperseded: "Overtaken by a later message", ctlChanged: "The bot changed under this turn",
		ctlGaveUp: "Given up after {n} takeovers: its process died too often",
		select: "choose the next action", fill: "fill slots", utter: "find words", think: "think", choose: "choose", proxyUser: "play the user",
		signIn: "Sign in", key: "API key, token or ticket", signInWhy: "This server wants to know who you are.",
		wrongKey: "This key was not accepted.", usedTicket: "The ticket was good for one visit. Get another one.",
		invite: "Invite somebody", inviteOpen: "Whoever opens this link takes part in this conversation.",
		inviteOnce: "Whoever opens this link first takes part in this conversation. It is good for an hour.",
		link: "Link", copy: "Copy the link", copied: "Copied",
		oneVisit: "This invitation was for one visit, or is over. Ask for another one.", foreign: "You are a visitor here: only the owner sees why the bot does what it does.",
	},
	zh: {
		skip: "跳到输入框", tasks: "任务", conversations: "会话", bot: "机器人", theme: "切换浅色和深色",
		inspector: "检查器", fresh: "新会话", kept: "保存在此浏览器中。", chat: "对话", messages: "消息",
		empty: "说点什么吧。", hint: "机器人做了什么、为什么这样做，都会显示在检查器中。", typing: "机器人正在输入",
		latest: "新消息 ↓", message: "消息", write: "输入消息", send: "发送",
		keys: "Enter 发送，Shift+Enter 换行", back: "返回对话", turns: "轮次", quiet: "还没有发生任何事情。",
		untitled: "空会话", forget: "删除“{title}”", sure: "在本浏览器和服务器上删除此会话？",
		open: "已连接", connecting: "正在连接……", broken: "连接中断，正在重试……",
		sending: "正在发送……", unsent: "未发送。", retry: "重新发送", why: "为什么？", whyLabel: "机器人为什么说：{text}", you: "你",
		superseded: "已被后来的消息取代。", cancelled: "已取消。", forgotten: "此会话已被删除。",
		refused: "检查器需要 “inspect” 权限。", image: "图片",
		activeForm: "当前表单", noForm: "没有进行中的表单", unknown: "未知",
		replied: "已回复", fallback: "兜底回复", relayed: "已转达", stopped: "已停止", running: "进行中……",
		ms: "{n} 毫秒", calls1: "1 次 LLM 调用", calls: "{n} 次 LLM 调用", tokens: "输入 {sent}、输出 {got} 词元",
		callTokens: "{sent} → {got} 词元",
		kindUser: "用户", kindRule: "规则", kindLlm: "LLM", kindSelector: "选择器", kindTool: "工具调用", kindForm: "表单",
		kindFallback: "兜底", kindOther: "说明",
		user: "用户说话了", proxy_user: "模拟用户说话了", trigger: "规则“{rule}”如此规定", llm: "由 LLM 决定下一步",
		selector: "由选择器选中", tools: "由 LLM 作为工具调用", slot: "{form} 缺少“{slot}”",
		interrupted: "被另一个动作取代", fallbackCause: "{reason}",
		start: "缺少槽位", continue: "仍缺少槽位", end: "已执行", break: "已离开",
		chose: "选择了 {action}", thought: "思考", error: "错误", slotsChanged: "槽位", before: "之前", after: "之后",
		examples1: "提示中有 1 段示例对话", examples: "提示中有 {n} 段示例对话", more: "其他返回内容",
		ctlCancelled: "已取消：{reason}", ctlSuperseded: "已被后来的消息取代", ctlChanged: "机器人在本轮中被更换",
		ctlGaveUp: "接管 {n} 次后放弃：进程多次中断",
		select: "选择下一个动作", fill: "填写槽位", utter: "组织语言", think: "思考", choose: "选择", proxyUser: "扮演用户",
		signIn: "登录", key: "API 密钥、令牌或票据", signInWhy: "此服务器需要知道你是谁。",
		wrongKey: "此密钥未被接受。", usedTicket: "此票据只能使用一次，请获取新的票据。",
		invite: "邀请他人", inviteOpen: "打开此链接的人都可以加入此会话。",
		inviteOnce: "第一个打开此链接的人可以加入此会话，一小时内有效。",
		link: "链接", copy: "复制链接", copied: "已复制",
		oneVisit: "此邀请只能使用一次，或已失效，请索取新的邀请。", foreign: "你是访客：只有会话的主人能看到机器人为什么这样做。",
	},
};

let language = document.documentElement.lang === "zh" ? "zh" : "en";

export const isChinese = () => language === "zh";

/** The words called `name`, with `{values}` filled in. */
export function t(name, values = {}) {
	return (WORDS[language][name] ?? name).replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

/** Puts the words of a language into the page's markup. */
export function speak(wanted = read("language") ?? language) {
	language = wanted;
	document.documentElement.lang = wanted;
	document.querySelectorAll("[data-t]").forEach((element) => (element.textContent = t(element.dataset.t)));
	document.querySelectorAll("[data-t-label]").forEach((element) => element.setAttribute("aria-label", t(element.dataset.tLabel)));
	document.querySelectorAll("[data-t-place]").forEach((element) => (element.placeholder = t(element.dataset.tPlace)));
}

export function switchLanguage() {
	write("language", isChinese() ? "en" : "zh");
	speak();
}
