#!/bin/sh
# eventsourcing 9.5.6: the body of a method under @event is what applies a stored event too. A rule in it is checked again
# whenever the aggregate is loaded, with the rule as it is today: one that became stricter makes aggregates that were
# valid when they were saved impossible to load. A rule belongs before the event is triggered, in a method that isn't
# decorated.
#
# Output seen: below.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv .venv
.venv/bin/pip install -q eventsourcing==9.5.6
.venv/bin/python - <<'END' | tee seen
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

limit = 100


class Account(Aggregate):
    @event("Opened")
    def __init__(self) -> None:
        self.balance = 0

    @event("Deposited")
    def deposit(self, amount: int) -> None:
        if amount > limit:
            raise ValueError("over the limit")
        self.balance += amount


application = Application()
account = Account()
account.deposit(80)
application.save(account)
print(application.repository.get(account.id).balance)
limit = 50
try:
    print(application.repository.get(account.id).balance)
except ValueError as error:
    print(f"not loaded: {error}")
END

diff - seen <<'END'
80
not loaded: over the limit
END
