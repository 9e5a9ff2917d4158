"""Computes one plan: a PlanServingRequest on stdin, a PlanServingResponse on stdout. Nice to its neighbours."""

import os
import sys

from touchstone.inference.v1 import planning_service_pb2 as pb

from touchstone_inference.planner.api import convert
from touchstone_inference.planner.service import planning

NICENESS = 10


def main() -> None:
    """Read, compute, write."""
    os.nice(NICENESS)
    request = pb.PlanServingRequest.FromString(sys.stdin.buffer.read())
    answer = convert.answer(planning.plan(convert.question(request)))
    sys.stdout.buffer.write(answer.SerializeToString())


if __name__ == "__main__":
    main()
