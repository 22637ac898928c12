"""One Markdown table of all that was measured."""
import statistics

COLUMNS = ["turnstile", "before", "turnstile, Redis", "HAProxy", "nginx", "polling", "direct",
           "libmicrohttpd", "libcurl", "both libraries"]
PEERS = ["HAProxy", "nginx", "polling"]


class Row:
    """A measure: for each peer a value a round."""

    def __init__(self, scenario, measure, digits=2, more_is_better=False, target="", only=None):
        self.scenario, self.measure, self.digits = scenario, measure, digits
        self.more_is_better, self.target = more_is_better, target
        self.only = only  # the peer of the ratio, if it isn't the best of all
        self.values = {}

    def add(self, peer, value):
        self.values.setdefault(peer, []).append(value)

    def median(self, peer):
        return statistics.median(self.values[peer])

    def _cell(self, peer):
        v = self.values.get(peer)
        if not v:
            return ""
        show = lambda x: f"{x:,.{self.digits}f}"
        spread = "" if show(min(v)) == show(max(v)) else f" ({show(min(v))}–{show(max(v))})"
        return show(statistics.median(v)) + spread

    def best_peer(self):
        peers = [p for p in ([self.only] if self.only else PEERS) if p in self.values]
        if not peers or "turnstile" not in self.values:
            return None
        return (max if self.more_is_better else min)(peers, key=self.median)

    def ratio(self):
        """turnstile over the best peer: the median of the rounds' ratios, neighbours in time."""
        best = self.best_peer()
        if not best or not all(self.values[best]):
            return ""
        ratios = [a / b for a, b in zip(self.values["turnstile"], self.values[best])]
        return f"{statistics.median(ratios):.2f} × {best}"

    def cells(self):
        return [self.scenario, self.measure, *map(self._cell, COLUMNS), self.ratio(), self.target]

    def as_data(self):
        return {"scenario": self.scenario, "measure": self.measure, "values": self.values,
                "ratio": self.ratio(), "target": self.target}


def markdown(rows):
    """Columns that nobody has a value in are left out."""
    head = ["scenario", "measure", *COLUMNS, "ratio", "target"]
    lines = [r.cells() for r in rows]
    keep = [i for i in range(len(head)) if any(line[i] for line in lines)]
    table = [[line[i] for i in keep] for line in [head, *lines]]
    table.insert(1, ["---"] * len(keep))
    return "\n".join("| " + " | ".join(line) + " |" for line in table)
