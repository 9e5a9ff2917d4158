{{/* What server and worker of retrieval share. */}}
{{- define "touchstone.retrievalVariables" -}}
- name: TOUCHSTONE_INDEX_DIR
  value: /var/lib/touchstone/indexes
{{ include "touchstone.databaseVariable" (list . "retrieval") }}
{{ include "touchstone.brokerVariable" . }}
{{ include "touchstone.artefactVariables" . }}
{{- if eq .Values.retrieval.store.type "Qdrant" }}
- name: TOUCHSTONE_QDRANT_URL
  value: {{ required "retrieval.store.qdrant.url: name the Qdrant server, or set retrieval.store.type to Embedded for a trial" .Values.retrieval.store.qdrant.url | quote }}
- name: TOUCHSTONE_QDRANT_QUANTIZATION
  value: {{ .Values.retrieval.store.qdrant.quantization | quote }}
{{- with .Values.retrieval.store.qdrant.existingSecret }}
{{ include "touchstone.secretVariable" (list "TOUCHSTONE_QDRANT_API_KEY" . $.Values.retrieval.store.qdrant.key) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "touchstone.retrievalMounts" -}}
- name: indexes
  mountPath: /var/lib/touchstone/indexes
{{- with include "touchstone.artefactMounts" . }}
{{ . }}
{{- end }}
{{- end -}}

{{- define "touchstone.retrievalSourcesMount" -}}
{{- if .Values.retrieval.worker.sources.existingClaim -}}
- name: sources
  mountPath: /var/lib/touchstone/sources
  readOnly: true
{{- end -}}
{{- end -}}

{{- define "touchstone.retrievalSourcesVolume" -}}
{{- with .Values.retrieval.worker.sources.existingClaim -}}
- name: sources
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end -}}
{{- end -}}

{{- define "touchstone.retrievalServer" -}}
{{- $env := list
  (dict "name" "TOUCHSTONE_LISTEN" "value" "0.0.0.0:50051")
  (dict "name" "TOUCHSTONE_DRAIN_DELAY_SECONDS" "value" (toString .Values.retrieval.drainDelaySeconds))
  (dict "name" "TOUCHSTONE_GRACE_SECONDS" "value" (toString .Values.retrieval.graceSeconds))
-}}
{{- include "touchstone.container" (dict
  "root" . "name" "server" "image" "retrieval" "module" "touchstone_retrieval" "resources" .Values.retrieval.server.resources
  "env" (printf "%s\n%s" (toYaml $env) (include "touchstone.retrievalVariables" .))
  "envFrom" (include "touchstone.artefactEnvFrom" .)
  "ports" (toYaml (list (dict "name" "grpc" "containerPort" 50051)))
  "probes" (include "touchstone.grpcProbes" .)
  "mounts" (include "touchstone.retrievalMounts" .)
) -}}
{{- end -}}

{{- define "touchstone.retrievalWorker" -}}
{{- $env := list
  (dict "name" "TOUCHSTONE_EMBED_THREADS" "value" (toString .Values.retrieval.worker.embedThreads))
  (dict "name" "TOUCHSTONE_FILE_SOURCE_ROOT" "value" "/var/lib/touchstone/sources")
-}}
{{- include "touchstone.container" (dict
  "root" . "name" "worker" "image" "retrieval" "module" "touchstone_retrieval.worker" "resources" .Values.retrieval.worker.resources
  "env" (printf "%s\n%s" (toYaml $env) (include "touchstone.retrievalVariables" .))
  "envFrom" (include "touchstone.artefactEnvFrom" .)
  "mounts" (printf "%s\n%s" (include "touchstone.retrievalMounts" .) (include "touchstone.retrievalSourcesMount" .) | trim)
) -}}
{{- end -}}
