// Shows each provider's view and fetches it anew when something changed there.
const live = document.getElementById("live");

async function show(view) {
  const answer = await fetch(`/sandbox/views/${view.dataset.provider}`);
  if (answer.ok) view.innerHTML = await answer.text();
}

let waiting = null;
function showAll() {
  waiting ??= setTimeout(() => {
    waiting = null;
    document.querySelectorAll(".view").forEach(show);
  }, 100);
}

const changes = new EventSource("/sandbox/changes");
changes.onopen = () => { live.textContent = "Live."; showAll(); };
changes.onmessage = showAll;
changes.onerror = () => { live.textContent = "Not connected; trying again…"; };
