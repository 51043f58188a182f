# Sourced by the batch scripts here: `requeued COMMAND` runs a job step that is stopped in time.
#
# SLURM sends USR1 to the batch script before the time limit. It is passed on to the step, whose
# processes save their state and leave. They do so one after the other and srun may end the last of
# them itself, so what the step leaves with says little: a step that was asked to stop and has not
# finished is put back in the queue. To cancel a job in its last minutes, hold it first.

requeued() {
    local asked=0 interrupted=0 status=0 step=""
    trap 'asked=1; interrupted=1; [ -z "$step" ] || kill -USR1 "$step" 2>/dev/null' USR1
    "$@" &
    step=$!
    while true; do
        interrupted=0
        wait "$step"
        status=$? # not the step's own where the signal came meanwhile
        [ "$interrupted" -eq 1 ] || break
    done
    trap - USR1
    if [ "$asked" -eq 1 ] && [ "$status" -ne 0 ]; then
        scontrol requeue "$SLURM_JOB_ID"
    fi
    return "$status"
}
