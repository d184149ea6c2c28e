"""A simulated world for the real executor code: clock, etcd, channels and a runtime that lie, pause and change.

`scene` builds a world and runs one command in it; `world` carries requests; `server`, `rules` and `etcd` answer them as etcd
does; `witness` judges by what was really committed; `faults` and `explore` put every fault at every hook point; `rows_*` are
the rows of the fault sheet as worlds, and `expected` says which of them the engine of today shows.

What is assumed of etcd, beside the facts that `test_sim_world` holds: only committed entries exist (a leader that cannot commit
leaves the request waiting); an election takes 1.2 s and is won by the first able voter; the age of a link does not count in
the strict checks, but 3.4 notices silence after 4 s; a request whose client gave up is carried out when its member can, unless
the schedule says otherwise. Calls side by side are answered from one moment of the world, each in its own time.
"""
