# SPDX-License-Identifier: MIT
"""Where to write the names of lines that end close to each other."""


def spread_out(wanted, gap, low=0.0, high=1.0):
    """Positions as near to those that are wanted as they can be with `gap` between two; closer if there is no room."""
    if len(wanted) > 1:
        gap = min(gap, (high - low) / (len(wanted) - 1))
    order = sorted(range(len(wanted)), key=lambda at: wanted[at])
    # Groups of names that touch; each is centred on what its members want, and takes in the group below if it reaches it.
    groups = []  # [sum of what the members want, each less its offset in the group; members]
    for at in order:
        groups.append([wanted[at], [at]])
        while True:
            start = group_start(groups[-1], gap, low, high)
            if len(groups) < 2:
                break
            below = groups[-2]
            if group_start(below, gap, low, high) + len(below[1]) * gap <= start + 1e-12:
                break
            total, members = groups.pop()
            below[0] += total - len(below[1]) * gap * len(members)
            below[1] += members
    placed = [0.0] * len(wanted)
    for group in groups:
        start = group_start(group, gap, low, high)
        for offset, at in enumerate(group[1]):
            placed[at] = start + offset * gap
    return placed


def group_start(group, gap, low, high):
    total, members = group
    return min(max(total / len(members), low), high - gap * (len(members) - 1))
