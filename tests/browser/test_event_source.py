"""The browser's own EventSource on the resume path: dropped on the way, whole at the end, closed for good."""

import subprocess
from pathlib import Path

from tests.support.gateway_stack import Stack
from tests.support.page_server import serving

PAGE = """<!doctype html><meta charset="utf-8"><script>
const source = new EventSource("PATH");
let text = "", opened = 0, ends = 0;
source.onopen = () => opened++;
source.onmessage = (event) => {
  if (event.data === "[DONE]") { ends++; return; }
  for (const choice of JSON.parse(event.data).choices) text += choice.delta.content ?? "";
};
const watch = setInterval(() => {
  if (source.readyState !== EventSource.CLOSED) return;
  clearInterval(watch);
  fetch("/report", { method: "POST", body: JSON.stringify({ text, opened, ends }) });
}, 20);
</script>"""
WORDS = "Мы открыты с девяти до шести, 周末休息, and the café 🙂 stays open. " * 4


def test_an_event_source_that_is_dropped_twice_hears_it_whole_and_closes(
    gateway: Stack, chromium: str, tmp_path: Path
) -> None:
    simulator = gateway.simulator
    simulator.draft(text="Let me look.", ttft_ms=10, tpot_ms=5)
    model = simulator.full(text=WORDS, ttft_ms=100, tpot_ms=15)
    with gateway.stream(model, session_id="browser", lanes=False) as asked:
        path = f"/v1/sessions/browser/turns/{asked.headers['X-Turn-ID']}"
        with serving(PAGE.replace("PATH", path), gateway.url, cut_after=[900, 2_500]) as server:
            browser = _open(chromium, server.url, tmp_path)
            try:
                asked.read()
                assert server.reported.wait(30), f"the source never closed: {server.statuses}"
            finally:
                browser.kill()
                browser.wait()
    assert server.report["text"] == asked.text
    assert WORDS.strip() in server.report["text"]
    assert server.report["ends"] == 1
    assert server.statuses == [200, 200, 200, 204]
    assert server.cursors[0] is None and None not in server.cursors[1:]


def _open(chromium: str, url: str, folder: Path) -> "subprocess.Popen[bytes]":
    command = [
        chromium,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-proxy-server",
        f"--user-data-dir={folder / 'profile'}",
        url,
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
