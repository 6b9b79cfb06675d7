# shellcheck shell=bash
# Ranks on this machine: with_ranks N ARGUMENT... is `mpirun -n N ferry ARGUMENT...`, more ranks than cores if need be.
# Source it after scenario.sh.
need mpirun
[[ -e $(dirname "$FERRY")/ferry-mpi.so ]] || skip "ferry was built without MPI"

# By environment, so that it is Open MPI's mpirun and any other's alike: root in a container, and no pinning to cores.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_btl=self,vader
# Its own files: mpirun puts sockets below TMPDIR, whose names must be short.
export TMPDIR=/tmp

with_ranks() {
  local ranks=$1
  shift
  mpirun -n "$ranks" "$FERRY" "$@"
}
