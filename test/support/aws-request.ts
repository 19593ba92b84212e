import { createHash, createHmac } from "node:crypto";

// Steps of tests carry this file with them, so it stands alone.

export interface AwsKey {
  readonly id: string;
  readonly secret: string;
}

/** One call of AWS's query API at this address as whoever has the key, signed (version 4); answers whatever comes. */
export async function askAws(of: {
  readonly url: string;
  readonly service: "iam" | "sts";
  readonly key: AwsKey;
  readonly query: Readonly<Record<string, string>>;
}): Promise<{ readonly status: number; readonly text: string }> {
  const { url, service, key } = of;
  const version = service === "iam" ? "2010-05-08" : "2011-06-15";
  const body = new URLSearchParams({ ...of.query, Version: version }).toString();
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/gu, "");
  const scope = `${time.slice(0, 8)}/us-east-1/${service}/aws4_request`;
  const headers = {
    "content-type": "application/x-www-form-urlencoded; charset=utf-8",
    host: new URL(url).host,
    "x-amz-date": time,
  };
  const names = Object.keys(headers).join(";");
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const request = ["POST", "/", "", lines.join(""), names, hash(body)].join("\n");
  const text = ["AWS4-HMAC-SHA256", time, scope, hash(request)].join("\n");
  const signer = scope.split("/").reduce<string | Buffer>(sign, `AWS4${key.secret}`);
  const signature = sign(signer, text).toString("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${key.id}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  const answer = await fetch(url, { method: "POST", body, headers: { ...headers, authorization } });
  return { status: answer.status, text: await answer.text() };
}

function sign(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
