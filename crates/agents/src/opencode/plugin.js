import { spawn } from "node:child_process"

const told = /^(session\.(created|updated|status|idle|error)|(permission|question)\.)/
let last = Promise.resolve()

const tell = (event, payload) => {
  // When it happened: others may have to be told before.
  const env = { ...process.env, QD_EVENT_AT: String(Date.now()) }
  last = last.then(() => new Promise((done) => {
    try {
      const hook = spawn(program, ["hook", "opencode", event], { env, stdio: ["pipe", "ignore", "ignore"] })
      hook.on("error", done)
      hook.on("close", done)
      hook.stdin.on("error", done)
      hook.stdin.end(JSON.stringify(payload))
    } catch {
      done()
    }
  }))
}

export const Quarterdeck = async ({ directory }) => {
  tell("plugin.init", { directory })
  return {
    event: async ({ event }) => {
      if (told.test(event.type)) tell(event.type, event)
    },
    "chat.message": async (i) => tell("chat.message", { i }),
    "tool.execute.before": async (i, o) => tell("tool.execute.before", { i, o }),
    "tool.execute.after": async (i) => tell("tool.execute.after", { i }),
  }
}
