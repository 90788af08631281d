// The task view's words, put beside those of the page.

import { WORDS } from "./words.js";

Object.assign(WORDS.en, {
	taskNew: "New task", taskWhich: "Task", taskInput: "What is it about?", taskBegin: "Start", taskBegun: "Begun in this browser",
	taskSkip: "Skip to the task", taskAll: "All tasks", taskStop: "Stop", taskSure: "Stop this task? What is done stays done.",
	taskGraph: "Steps and what they wait for", taskResult: "Result", taskAsks: "{step} asks you", taskAnswer: "Your answer",
	taskSend: "Answer", taskSent: "Sent.", taskRefused: "Tasks need the scope “operator”.", taskLost: "The server cannot be reached.",
	taskWith: "Agents: {agents}", taskSteps: "{done} of {all} steps", taskDetail: "Step {step}", taskClose: "Close",
	taskAsked: "Asked", taskAfter: "After", taskTries: "Tries", taskTook: "Took", taskTold: "{step}: {state}", taskOver: "The task is {state}",
	is_waiting: "waiting", is_running: "running", is_asking: "asks you", is_retrying: "tries again", is_done: "done", is_failed: "failed",
	is_skipped: "skipped", is_cancelled: "stopped", all_running: "running", all_waiting: "waits for you", all_done: "done",
	all_partial: "partly done", all_failed: "failed", all_cancelled: "stopped",
	took_ms: "{n} ms", took_s: "{n} s", took_m: "{n} min {m} s", took_h: "{n} h {m} min", took_d: "{n} d {m} h",
});
Object.assign(WORDS.zh, {
	taskNew: "新任务", taskWhich: "任务", taskInput: "任务内容是什么？", taskBegin: "开始", taskBegun: "在此浏览器中开始的任务",
	taskSkip: "跳到任务", taskAll: "所有任务", taskStop: "停止", taskSure: "停止此任务？已完成的部分会保留。",
	taskGraph: "步骤及其依赖", taskResult: "结果", taskAsks: "{step} 需要你回答", taskAnswer: "你的回答",
	taskSend: "回答", taskSent: "已发送。", taskRefused: "任务需要 “operator” 权限。", taskLost: "无法连接服务器。",
	taskWith: "智能体：{agents}", taskSteps: "{all} 步中已完成 {done} 步", taskDetail: "步骤 {step}", taskClose: "关闭",
	taskAsked: "提问", taskAfter: "等待", taskTries: "尝试次数", taskTook: "用时", taskTold: "{step}：{state}", taskOver: "任务{state}",
	is_waiting: "等待中", is_running: "进行中", is_asking: "等你回答", is_retrying: "重试中", is_done: "完成", is_failed: "失败",
	is_skipped: "跳过", is_cancelled: "已停止", all_running: "进行中", all_waiting: "等你回答", all_done: "完成",
	all_partial: "部分完成", all_failed: "失败", all_cancelled: "已停止",
	took_ms: "{n} 毫秒", took_s: "{n} 秒", took_m: "{n} 分 {m} 秒", took_h: "{n} 小时 {m} 分", took_d: "{n} 天 {m} 小时",
});
