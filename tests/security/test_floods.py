"""Floods of HTTP/2 and HTTP/1: ordinary clients are served meanwhile, memory stays bounded, nothing dies. The attack
itself, and what is measured how, is in floods.py; MIRAI_FLOOD_SECONDS makes each longer."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import floods
from case import Case
from stack import measured

SECONDS = int(os.environ.get("MIRAI_FLOOD_SECONDS", 10))
MEMORY = 160 * floods.MIB  # unread answers and open requests of all attackers together; see MIRAI_BODIES_MAX_BYTES
LEFT = 0.5  # of ordinary clients' throughput
SPENT = 0.5  # seconds of work a second that a flood may cost the gateway, at most
LOUD = ("rapid reset", "made you reset", "continuation", "ping", "settings", "slow heads")  # the others: a third of the time


def told(row, seconds):
    return (f"{row['ratio']:.0%} of the throughput alone, {row['fair']:.0%} of that beside the same CPU load, {row['spent']:.2f} s of the gateway's CPU in {seconds} s, "
            f"memory +{row['grown'] / floods.MIB:.0f} MiB, {row['ended']} connections ended")


class Guarded(Case):
    def check(self, names, seconds):
        with floods.Floods(seconds) as flooded:
            for row in flooded.measure(names):
                if max(row["ratio"], row["fair"]) < LEFT:  # others work on this machine too: once more
                    row = flooded.measure([row["name"]])[0]
                measured(row["name"], told(row, seconds))
                with self.subTest(row["name"]):
                    self.assertTrue(row["alive"])
                    self.assertGreaterEqual(max(row["ratio"], row["fair"]), LEFT)
                    self.assertLess(row["spent"], SPENT * seconds)
                    self.assertLess(row["grown"], MEMORY)
                    if floods.FRAMES.get(row["name"], (None, None))[1] is not None:
                        self.assertGreater(row["ended"], 0)

    def test_floods(self):
        self.check(LOUD, SECONDS)

    def test_other_floods(self):
        self.check([name for name in floods.FRAMES if name not in LOUD], max(2, SECONDS // 3))


class Unguarded(Case):
    def test_the_same_floods_hurt_without_limits(self):
        """Else the tests above would say nothing."""
        seconds = 2
        with floods.Floods(seconds, unguarded=True) as flooded:
            for name in ("rapid reset", "settings"):
                with self.subTest(name):
                    for _ in range(3):  # on a busy machine the attackers may not get to their work
                        row = flooded.measure([name])[0]
                        self.assertEqual(row["ended"], 0)
                        # many cores serve the others beside the flood; then it shows in what the gateway spends on it
                        hurt = max(row["ratio"], row["fair"]) < LEFT or row["spent"] > SPENT * seconds
                        if hurt:
                            break
                    measured(f"{name}, without limits", told(row, seconds))
                    self.assertTrue(hurt, told(row, seconds))


if __name__ == "__main__":
    unittest.main()
