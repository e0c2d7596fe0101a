import { spawn } from "node:child_process"

const told = /^(session\.(created|updated|status|idle|error)|(permission|question)\.)/
const asks = /^(permission|question)\.asked$/
let last = Promise.resolve()

// How long what comes after a question waits for its record. The hook itself may wait for an answer.
const RECORDED_MS = 250

const tell = (event, payload, answered) => {
  // When it happened: others may have to be told before.
  const env = { ...process.env, QD_EVENT_AT: String(Date.now()) }
  const stdio = ["pipe", answered ? "pipe" : "ignore", "ignore"]
  last = last.then(() => new Promise((done) => {
    try {
      const hook = spawn(program, ["hook", "opencode", event], { env, stdio })
      let said = ""
      hook.on("error", done)
      hook.on("close", () => {
        done()
        if (said) answered(said)
      })
      if (answered) {
        hook.stdout.on("data", (part) => (said += part))
        setTimeout(done, RECORDED_MS)
      }
      hook.stdin.on("error", done)
      hook.stdin.end(JSON.stringify(payload))
    } catch {
      done()
    }
  }))
}

// What somebody said from elsewhere. The dialog stands beside it, and whoever answers first, wins.
const pass = (client, { id, sessionID }) => async (said) => {
  const post = (url, body) => {
    const headers = { "Content-Type": "application/json" }
    return client._client.post({ url, path: { requestID: id }, body, headers })
  }
  try {
    const { reply, message, answers, rejected } = JSON.parse(said)
    if (answers) await post("/question/{requestID}/reply", { answers })
    else if (rejected) await post("/question/{requestID}/reject", {})
    else if (message !== undefined) await post("/permission/{requestID}/reply", { reply, message })
    else {
      const path = { id: sessionID, permissionID: id }
      await client.postSessionIdPermissionsPermissionId({ path, body: { response: reply } })
    }
  } catch {
    // Its dialog is still there.
  }
}

export const Quarterdeck = async ({ client, directory }) => {
  tell("plugin.init", { directory })
  return {
    event: async ({ event }) => {
      if (!told.test(event.type)) return
      if (asks.test(event.type)) tell(`${event.type}.waits`, event, pass(client, event.properties))
      else tell(event.type, event)
    },
    "chat.message": async (i) => tell("chat.message", { i }),
    "tool.execute.before": async (i, o) => tell("tool.execute.before", { i, o }),
    "tool.execute.after": async (i) => tell("tool.execute.after", { i }),
  }
}
