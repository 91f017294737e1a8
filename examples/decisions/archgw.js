// nginx asks archgw who should answer, and passes the request on to him. Needs njs: libnginx-mod-http-js.
const PLACES = { deepseek: "@deepseek", openai: "@openai" }; // by archgw's name of the provider
const KEYS = { deepseek: "DEEPSEEK_API_KEY", openai: "OPENAI_API_KEY" };

async function choose(r) {
  const asked = r.requestText || "";
  let place = "openai"; // who answers where archgw has no advice
  r.variables.changed = asked;
  try {
    const reply = await r.subrequest("/routing" + r.uri, { method: "POST", body: asked });
    if (reply.status !== 200) throw new Error(reply.status);
    const told = JSON.parse(reply.responseText);
    const first = told.models.find((one) => one.provider in PLACES && one.dialect === "openai_chat");
    if (first) {
      place = first.provider;
      r.variables.changed = JSON.stringify(Object.assign(JSON.parse(asked), { model: first.name }));
    }
  } catch (error) {
    r.error(`archgw did not decide: ${error.message}`);
  }
  r.variables.key = process.env[KEYS[place]];
  r.internalRedirect(PLACES[place]);
}

export default { choose };
