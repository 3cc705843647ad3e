package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// driver opens each page in turn, presses keys, and says what it has seen.
const driver = `<!doctype html><body><pre id="result"></pre><script>
const names = %s, seen = [];
const sleep = ms => new Promise(r => setTimeout(r, ms));
async function open(name) {
	const f = document.createElement("iframe");
	f.src = name + ".html";
	const loaded = new Promise(r => f.onload = r);
	document.body.append(f);
	await loaded;
	return f;
}
(async () => {
	for (const name of names) {
		const f = await open(name), w = f.contentWindow, d = f.contentDocument;
		const key = k => d.dispatchEvent(new w.KeyboardEvent("keydown", {key: k}));
		const step = () => +d.body.dataset.step, at = d.getElementById("at");
		const told = [step()];
		key("ArrowRight"); key("ArrowRight"); told.push(step());
		key("ArrowLeft"); told.push(step());
		d.getElementById("on").click(); told.push(step());
		d.getElementById("back").click(); told.push(step());
		at.value = 3; at.dispatchEvent(new w.Event("input")); told.push(step());
		key("End");
		const sides = [...d.querySelectorAll("section")];
		seen.push({
			name, told, most: +at.max, end: step(),
			shown: sides.every(s => [...s.querySelectorAll(".e")].every(e => e.classList.contains("past"))),
			last: sides.every(s => s.querySelector(".now-line").textContent.includes([...s.querySelectorAll("ol li")].pop().textContent)),
			sources: sides.every(s => [...s.querySelectorAll("ol li")].every(l => /\.go:\d+$/.test(l.dataset.source))),
			texts: sides.map(s => s.querySelector(".transcript").textContent),
			outside: [...d.querySelectorAll("[src],link[href]")].length,
		});
		f.remove();
	}
	document.getElementById("result").textContent = JSON.stringify(seen);
})();
</script>`

// Every page of the gallery loads, steps forward and back by key, button and slider, and ends with the
// transcript that the lesson has: in a browser.
func TestPages_InABrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			browser = p
			break
		}
	}
	if browser == "" {
		t.Skip("there is no chromium")
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { require.NoError(t, gallery.Render(dir)) }) // in virtual time, as transcripts are
	var names []string
	for _, l := range gallery.Lessons {
		names = append(names, l.Name)
	}
	list, err := json.Marshal(names)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "driver.html"), fmt.Appendf(nil, driver, list), 0o644))
	srv := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
		"--enable-logging=stderr", "--virtual-time-budget=100000", "--dump-dom", srv.URL+"/driver.html")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	for line := range strings.Lines(stderr.String()) {
		require.False(t, strings.Contains(line, "CONSOLE") && strings.Contains(line, "rror"), line)
	}
	m := regexp.MustCompile(`(?s)<pre id="result">(.*?)</pre>`).FindSubmatch(out)
	require.NotNil(t, m, "%s", out)
	var seen []struct {
		Name                 string
		Told                 []int
		Most, End, Outside   int
		Shown, Last, Sources bool
		Texts                []string
	}
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(string(m[1]))), &seen), "%s\n%s", out, stderr.String())
	require.Len(t, seen, len(names))
	for _, s := range seen {
		require.Equal(t, []int{0, 2, 1, 2, 1, 3}, s.Told, s.Name)
		require.Equal(t, s.Most, s.End, s.Name)
		require.True(t, s.Shown && s.Last && s.Sources, "%+v", s)
		require.Zero(t, s.Outside, "%s wants something from elsewhere", s.Name)
		for i, side := range []string{"wrong", "right"} {
			b, err := os.ReadFile(filepath.Join(s.Name, "testdata", side+".txt"))
			require.NoError(t, err)
			require.Equal(t, string(b), s.Texts[i], s.Name)
		}
	}
}

func TestServe_OnThisMachineAlone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var at lineWriter
	at.line = make(chan string, 1)
	done := make(chan error, 1)
	go func() { done <- gallery.Serve(ctx, "127.0.0.1:0", &at) }()
	url := <-at.line
	resp, err := http.Get(strings.TrimSpace(url) + "psref-hold.html")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, url, "http://127.0.0.1:")
	cancel()
	require.NoError(t, <-done)
}

type lineWriter struct{ line chan string }

func (w *lineWriter) Write(b []byte) (int, error) {
	w.line <- string(b)
	return len(b), nil
}
