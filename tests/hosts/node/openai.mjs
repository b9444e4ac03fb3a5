// One request with OpenAI's client: BASE_URL KEY ("" for none) models|chat|stream. Prints JSON.
import OpenAI from "openai";

const [baseURL, key, call] = process.argv.slice(2);
const client = new OpenAI({
  baseURL,
  apiKey: key || "unused",
  defaultHeaders: key ? {} : { Authorization: null },
  maxRetries: 0,
  timeout: 10_000,
});
const question = { model: "m", messages: [{ role: "user", content: "hello" }] };

async function answer() {
  switch (call) {
    case "models": {
      const page = await client.models.list();
      return page.data.map((model) => model.id).join(" ");
    }
    case "chat": {
      const reply = await client.chat.completions.create(question);
      return reply.choices[0].message.content;
    }
    case "stream": {
      let text = "";
      for await (const part of await client.chat.completions.create({ ...question, stream: true })) {
        text += part.choices[0]?.delta?.content ?? "";
      }
      return text;
    }
  }
  throw new Error("unknown call");
}

try {
  console.log(JSON.stringify({ text: await answer() }));
} catch (error) {
  console.log(
    JSON.stringify({
      authentication: error instanceof OpenAI.AuthenticationError,
      status: error.status,
      message: error.message,
    }),
  );
}
