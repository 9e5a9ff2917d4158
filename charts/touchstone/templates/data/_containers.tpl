{{/* What server and worker of data share. */}}
{{- define "touchstone.dataVariables" -}}
{{ include "touchstone.databaseVariable" (list . "data") }}
{{ include "touchstone.brokerVariable" . }}
{{- end -}}

{{/* The claim whose files the server reads too: the workers', where pods on other nodes may mount it. Empty: none. */}}
{{- define "touchstone.dataFilesClaim" -}}
{{- with .Values.data.worker -}}
{{- if and (has "ReadWriteMany" .work.accessModes) (or .replicas .work.existingClaim) -}}
{{- .work.existingClaim | default (printf "%s-data-work" (include "touchstone.fullname" $)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "touchstone.dataServer" -}}
{{- $env := list
  (dict "name" "TOUCHSTONE_LISTEN" "value" "0.0.0.0:50051")
  (dict "name" "TOUCHSTONE_FEEDBACK_LISTEN" "value" "0.0.0.0:50052")
  (dict "name" "TOUCHSTONE_FEEDBACK_RETENTION_DAYS" "value" (toString .Values.data.server.feedbackRetentionDays))
  (dict "name" "TOUCHSTONE_FILE_ROOT" "value" "/var/lib/touchstone/work/files")
  (dict "name" "TOUCHSTONE_DRAIN_DELAY_SECONDS" "value" (toString .Values.data.server.drainDelaySeconds))
  (dict "name" "TOUCHSTONE_GRACE_SECONDS" "value" (toString .Values.data.server.graceSeconds))
-}}
{{- include "touchstone.container" (dict
  "root" . "name" "server" "image" "data" "module" "touchstone_data" "resources" .Values.data.server.resources
  "env" (printf "%s\n%s\n%s" (toYaml $env) (include "touchstone.dataVariables" .) (include "touchstone.artefactVariables" .))
  "envFrom" (include "touchstone.artefactEnvFrom" .)
  "ports" (toYaml (list (dict "name" "grpc" "containerPort" 50051) (dict "name" "feedback" "containerPort" 50052)))
  "probes" (include "touchstone.grpcProbes" .)
  "mounts" (printf "%s\n%s" (include "touchstone.filesMount" (include "touchstone.dataFilesClaim" .)) (include "touchstone.artefactMounts" .) | trim)
) -}}
{{- end -}}

{{- define "touchstone.dataWorker" -}}
{{- $worker := .Values.data.worker -}}
{{- $env := list
  (dict "name" "TOUCHSTONE_INFERENCE_ADDRESS" "value" (printf "%s-router.%s.svc:%v" (include "touchstone.fullname" .) .Release.Namespace .Values.router.service.grpcPort))
-}}
{{- include "touchstone.container" (dict
  "root" . "name" "worker" "image" "data" "module" "touchstone_data.worker" "resources" $worker.resources
  "env" (printf "%s\n%s\n%s\n%s\n%s" (toYaml $env) (include "touchstone.dataVariables" .) (include "touchstone.workVariables" "data") (include "touchstone.artefactVariables" .) (include "touchstone.tokenVariable" .))
  "envFrom" (printf "%s\n%s" (include "touchstone.artefactEnvFrom" .) (include "touchstone.secretEnvFrom" $worker.existingSecret) | trim)
  "mounts" (printf "%s\n%s\n%s" (include "touchstone.tokenMount" .) (include "touchstone.workMount" .) (include "touchstone.artefactMounts" .) | trim)
) -}}
{{- end -}}
