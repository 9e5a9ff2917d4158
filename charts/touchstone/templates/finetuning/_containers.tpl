{{/* What server and worker of finetuning share. */}}
{{- define "touchstone.finetuningVariables" -}}
{{ include "touchstone.databaseVariable" (list . "finetuning") }}
{{ include "touchstone.brokerVariable" . }}
- name: TOUCHSTONE_TRAINER
  value: {{ ternary "Kubernetes" "Subprocess" (eq .Values.finetuning.trainer.mode "Job") }}
{{- end -}}

{{/* What trainings see of volumes: the worker's, at the same places. */}}
{{- define "touchstone.trainingMounts" -}}
{{ printf "%s\n%s" (include "touchstone.workMount" .) (include "touchstone.artefactMounts" .) | trim }}
{{- end -}}

{{- define "touchstone.trainingVolumes" -}}
{{ printf "%s\n%s" (include "touchstone.workVolume" (list . "finetuning" .Values.finetuning.worker.work)) (include "touchstone.artefactVolumes" .) | trim }}
{{- end -}}

{{/* The Job of a training but for what is the training's own, as JSON. It talks to nobody: its worker has fetched what it needs. */}}
{{- define "touchstone.trainerJob" -}}
{{- $trainer := .Values.finetuning.trainer -}}
{{- $container := include "touchstone.container" (dict
  "root" . "name" "trainer" "image" "trainer" "module" "touchstone_finetuning.training" "resources" $trainer.resources
  "env" "" "mounts" (include "touchstone.trainingMounts" .)
) -}}
{{- $pod := include "touchstone.pod" (dict
  "root" . "component" "finetuning-trainer" "settings" $trainer "graceSeconds" (add .Values.finetuning.worker.stopSeconds 30)
  "runtimeClassName" $trainer.runtimeClassName "containers" $container "volumes" (include "touchstone.trainingVolumes" .)
) | fromYaml -}}
{{- $metadata := include "touchstone.metadata" (list . "finetuning-trainer" "training") | fromYaml -}}
{{- dict "apiVersion" "batch/v1" "kind" "Job" "metadata" $metadata "spec" (dict "ttlSecondsAfterFinished" $trainer.ttlSecondsAfterFinished "template" $pod) | toJson -}}
{{- end -}}

{{- define "touchstone.finetuningServer" -}}
{{- $env := list
  (dict "name" "TOUCHSTONE_QUEUES" "value" (join "," .Values.finetuning.queues))
  (dict "name" "TOUCHSTONE_LISTEN" "value" "0.0.0.0:50051")
  (dict "name" "TOUCHSTONE_DRAIN_DELAY_SECONDS" "value" (toString .Values.finetuning.server.drainDelaySeconds))
  (dict "name" "TOUCHSTONE_GRACE_SECONDS" "value" (toString .Values.finetuning.server.graceSeconds))
-}}
{{- include "touchstone.container" (dict
  "root" . "name" "server" "image" "finetuning" "module" "touchstone_finetuning" "resources" .Values.finetuning.server.resources
  "env" (printf "%s\n%s" (toYaml $env) (include "touchstone.finetuningVariables" .))
  "ports" (toYaml (list (dict "name" "grpc" "containerPort" 50051)))
  "probes" (include "touchstone.grpcProbes" .)
) -}}
{{- end -}}

{{- define "touchstone.finetuningWorker" -}}
{{- $worker := .Values.finetuning.worker -}}
{{- $trainer := .Values.finetuning.trainer -}}
{{- $isJob := eq $trainer.mode "Job" -}}
{{- $env := list
  (dict "name" "TOUCHSTONE_QUEUES" "value" (join "," ($worker.queues | default .Values.finetuning.queues)))
  (dict "name" "TOUCHSTONE_TRAINER_IMAGE" "value" (include "touchstone.image" (list . "trainer")))
  (dict "name" "TOUCHSTONE_RETENTION_DAYS" "value" (toString $worker.retentionDays))
-}}
{{- if $isJob -}}
{{- $env = concat $env (list
  (dict "name" "TOUCHSTONE_TRAINER_JOB" "value" (include "touchstone.trainerJob" .))
  (dict "name" "TOUCHSTONE_TRAINER_PENDING_SECONDS" "value" (toString $trainer.pendingSeconds))
  (dict "name" "TOUCHSTONE_CONCURRENCY" "value" (toString $trainer.concurrency))
) -}}
{{- else -}}
{{- $env = concat $env (list
  (dict "name" "TOUCHSTONE_TRAINER_THREADS" "value" (toString $worker.threads))
  (dict "name" "TOUCHSTONE_STOP_SECONDS" "value" (toString $worker.stopSeconds))
) -}}
{{- end -}}
{{- /* What is fetched is kept with the artefacts where those are on a volume, else with the work. */}}
{{- $cache := ternary (include "touchstone.artefactVariables" .) (include "touchstone.registryVariables" .) .Values.artefacts.persistence.enabled -}}
{{- include "touchstone.container" (dict
  "root" . "name" "worker" "image" (ternary "finetuning" "trainer" $isJob) "module" "touchstone_finetuning.worker" "resources" $worker.resources
  "env" (printf "%s\n%s\n%s\n%s" (toYaml $env) (include "touchstone.finetuningVariables" .) (include "touchstone.workVariables" "finetuning") $cache | trim)
  "envFrom" (printf "%s\n%s" (include "touchstone.artefactEnvFrom" .) (include "touchstone.secretEnvFrom" $worker.existingSecret) | trim)
  "mounts" (include "touchstone.trainingMounts" .)
) -}}
{{- end -}}
