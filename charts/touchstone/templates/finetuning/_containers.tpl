{{/* What server and worker of finetuning share. */}}
{{- define "touchstone.finetuningVariables" -}}
{{ include "touchstone.databaseVariable" (list . "finetuning") }}
{{ include "touchstone.brokerVariable" . }}
{{- end -}}

{{- define "touchstone.finetuningServer" -}}
{{- $env := list
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
{{- $env := list
  (dict "name" "TOUCHSTONE_TRAINER_IMAGE" "value" (include "touchstone.image" (list . "trainer")))
  (dict "name" "TOUCHSTONE_TRAINER_THREADS" "value" (toString $worker.threads))
  (dict "name" "TOUCHSTONE_STOP_SECONDS" "value" (toString $worker.stopSeconds))
  (dict "name" "TOUCHSTONE_RETENTION_DAYS" "value" (toString $worker.retentionDays))
-}}
{{- /* What is fetched is kept with the artefacts where those are on a volume, else with the work. */}}
{{- $cache := ternary (include "touchstone.artefactVariables" .) "" .Values.artefacts.persistence.enabled -}}
{{- include "touchstone.container" (dict
  "root" . "name" "worker" "image" "trainer" "module" "touchstone_finetuning.worker" "resources" $worker.resources
  "env" (printf "%s\n%s\n%s\n%s" (toYaml $env) (include "touchstone.finetuningVariables" .) (include "touchstone.workVariables" "finetuning") $cache | trim)
  "envFrom" (printf "%s\n%s" (include "touchstone.artefactEnvFrom" .) (include "touchstone.secretEnvFrom" $worker.existingSecret) | trim)
  "mounts" (printf "%s\n%s" (include "touchstone.workMount" .) (include "touchstone.artefactMounts" .) | trim)
) -}}
{{- end -}}
