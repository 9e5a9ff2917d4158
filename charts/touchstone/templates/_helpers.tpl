{{/* The release's name, with the chart's where it is not part of it. */}}
{{- define "touchstone.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels that select a component: (list $ "router"). */}}
{{- define "touchstone.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: touchstone
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of a component: (list $ "router"). */}}
{{- define "touchstone.labels" -}}
{{- $root := index . 0 -}}
{{ include "touchstone.selector" . }}
app.kubernetes.io/part-of: touchstone
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Name, namespace and labels of an object of a component: (list $ "router"), or with a name's end as third. */}}
{{- define "touchstone.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "touchstone.fullname" $root }}-{{ if gt (len .) 2 }}{{ index . 2 }}{{ else }}{{ index . 1 }}{{ end }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "touchstone.labels" (list $root (index . 1)) | nindent 2 }}
{{- end -}}

{{/* An image: (list $ "router"). */}}
{{- define "touchstone.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default $root.Values.images.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/*
The pod of a component. Takes a dictionary:
  root, component; settings: the component's values (nodeSelector, tolerations, podAnnotations, priorityClassName);
  containers, volumes: YAML lists; graceSeconds: how long the pod may take to end;
  account: true if it talks to the API server, by a token that is projected for it.
*/}}
{{- define "touchstone.pod" -}}
metadata:
  labels:
    {{- include "touchstone.labels" (list .root .component) | nindent 4 }}
  {{- with .settings.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "touchstone.fullname" .root }}-{{ .component }}
  automountServiceAccountToken: {{ .account | default false }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .graceSeconds }}
  {{- with .root.Values.images.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "touchstone.selector" (list $.root $.component) | nindent 10 }}
    {{- end }}
  {{- with .runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with .settings.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .settings.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .settings.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    {{- .containers | nindent 4 }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- with .volumes }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/*
A container. Takes a dictionary: root, name, image (a key of images), resources; module: what Python runs;
env, ports, mounts, probes, envFrom: YAML.
*/}}
{{- define "touchstone.container" -}}
- name: {{ .name }}
  image: {{ include "touchstone.image" (list .root .image) }}
  imagePullPolicy: {{ .root.Values.images.pullPolicy }}
  command: ["python", "-m", {{ .module | quote }}]
  env:
    - name: TOUCHSTONE_LOG_FORMAT
      value: {{ .root.Values.telemetry.logFormat | quote }}
    {{- with .root.Values.telemetry.otlpEndpoint }}
    - name: OTEL_EXPORTER_OTLP_ENDPOINT
      value: {{ . | quote }}
    {{- end }}
    {{- .env | nindent 4 }}
  {{- with .envFrom }}
  envFrom:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .ports }}
  ports:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .probes }}
  {{- . | nindent 2 }}
  {{- end }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    {{- include "touchstone.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- with .mounts }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "touchstone.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end -}}

{{/* Probes of a gRPC server; starting may take a minute on a busy node. */}}
{{- define "touchstone.grpcProbes" -}}
startupProbe:
  grpc: {port: 50051}
  periodSeconds: 1
  failureThreshold: 90
  timeoutSeconds: 3
readinessProbe:
  grpc: {port: 50051}
  periodSeconds: 2
  failureThreshold: 2
  timeoutSeconds: 3
{{- end -}}

{{/* A disruption budget: (list $ component replicas). One replica cannot be kept by it, so there it is left out. */}}
{{- define "touchstone.disruptionBudget" -}}
{{- $root := index . 0 -}}
{{- if gt (int (index . 2)) 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "touchstone.metadata" (list $root (index . 1)) | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "touchstone.selector" (list $root (index . 1)) | nindent 6 }}
{{- end -}}
{{- end -}}

{{/* A ServiceAccount: (list $ component). */}}
{{- define "touchstone.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "touchstone.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}

{{/* A variable from a Secret: (list NAME secret key). */}}
{{- define "touchstone.secretVariable" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 }}
      key: {{ index . 2 }}
{{- end -}}

{{/* The broker's URL, from the trial's Secret or the one that is named. */}}
{{- define "touchstone.brokerVariable" -}}
{{- if .Values.valkey.enabled -}}
{{- include "touchstone.secretVariable" (list "TOUCHSTONE_BROKER_URL" (printf "%s-valkey" (include "touchstone.fullname" .)) "url") -}}
{{- else -}}
{{- include "touchstone.secretVariable" (list "TOUCHSTONE_BROKER_URL" (required "broker.existingSecret: name the Secret with the broker's URL, or set valkey.enabled for a trial" .Values.broker.existingSecret) .Values.broker.key) -}}
{{- end -}}
{{- end -}}

{{/* A service's database URL: (list $ "retrieval"). */}}
{{- define "touchstone.databaseVariable" -}}
{{- $root := index . 0 -}}
{{- $database := index $root.Values.database (index . 1) -}}
{{- if $root.Values.postgresql.enabled -}}
{{- include "touchstone.secretVariable" (list "TOUCHSTONE_DATABASE_URL" (printf "%s-postgresql" (include "touchstone.fullname" $root)) "url") -}}
{{- else -}}
{{- include "touchstone.secretVariable" (list "TOUCHSTONE_DATABASE_URL" (required (printf "database.%s.existingSecret: name the Secret with the database's URL, or set postgresql.enabled for a trial" (index . 1)) $database.existingSecret) $database.key) -}}
{{- end -}}
{{- end -}}

{{/* Variables of the artefact store. */}}
{{- define "touchstone.artefactVariables" -}}
- name: TOUCHSTONE_ARTEFACTS_URI
{{- if .Values.artefacts.persistence.enabled }}
  value: file:///var/lib/touchstone/artefacts
{{- else }}
  value: {{ required "artefacts.uri: name the object store, as s3://BUCKET/PREFIX, or set artefacts.persistence.enabled" .Values.artefacts.uri | quote }}
- name: TOUCHSTONE_CACHE_DIR
  value: /tmp/artefacts
{{- end }}
{{ include "touchstone.registryVariables" . }}
{{- end -}}

{{/* What readers of oci:// addresses know of registries; nothing by default. */}}
{{- define "touchstone.registryVariables" -}}
{{- with .Values.registries.plainHttp -}}
- name: TOUCHSTONE_PLAIN_HTTP_REGISTRIES
  value: {{ join "," . | quote }}
{{- end -}}
{{- end -}}

{{- define "touchstone.artefactMounts" -}}
{{- if .Values.artefacts.persistence.enabled -}}
- name: artefacts
  mountPath: /var/lib/touchstone/artefacts
{{- end -}}
{{- end -}}

{{- define "touchstone.artefactVolumes" -}}
{{- if .Values.artefacts.persistence.enabled -}}
- name: artefacts
  persistentVolumeClaim:
    claimName: {{ .Values.artefacts.persistence.existingClaim | default (printf "%s-artefacts" (include "touchstone.fullname" .)) }}
{{- end -}}
{{- end -}}

{{/* The environment from a Secret's keys; empty for no name. */}}
{{- define "touchstone.secretEnvFrom" -}}
{{- with . -}}
- secretRef:
    name: {{ . }}
{{- end -}}
{{- end -}}

{{- define "touchstone.artefactEnvFrom" -}}
{{- include "touchstone.secretEnvFrom" .Values.artefacts.existingSecret -}}
{{- end -}}

{{/*
Where a worker keeps what outlives its pods: "finetuning". What users name by file:// lies beside that, not in it, at the
same place for all workers.
*/}}
{{- define "touchstone.workVariables" -}}
- name: TOUCHSTONE_WORK_DIR
  value: /var/lib/touchstone/work/{{ . }}
- name: TOUCHSTONE_FILE_ROOT
  value: /var/lib/touchstone/work/files
{{- end -}}

{{- define "touchstone.workMount" -}}
- name: work
  mountPath: /var/lib/touchstone/work
{{- end -}}

{{/* (list $ "finetuning" WORK), where WORK holds the values of the volume. */}}
{{- define "touchstone.workVolume" -}}
- name: work
  persistentVolumeClaim:
    claimName: {{ (index . 2).existingClaim | default (printf "%s-%s-work" (include "touchstone.fullname" (index . 0)) (index . 1)) }}
{{- end -}}

{{/*
What users name by file://, to be read where nothing else of that volume is seen: the claim's name, or nothing for none.
*/}}
{{- define "touchstone.filesMount" -}}
{{- if . -}}
- name: files
  mountPath: /var/lib/touchstone/work/files
  subPath: files
  readOnly: true
{{- end -}}
{{- end -}}

{{- define "touchstone.filesVolume" -}}
{{- if . -}}
- name: files
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end -}}
{{- end -}}

{{/* The claim of a component whose workers share a volume: (list $ "finetuning" WORKER). */}}
{{- define "touchstone.workClaim" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $replicas := int (index . 2).replicas -}}
{{- with (index . 2).work -}}
{{- if and $replicas (not .existingClaim) -}}
{{- if and (gt $replicas 1) (not (has "ReadWriteMany" .accessModes)) -}}
{{- fail (printf "%s.worker.work.accessModes: %d replicas share the volume, so it must be ReadWriteMany" $component $replicas) -}}
{{- end -}}
{{- if and (eq $component "finetuning") (eq $root.Values.finetuning.trainer.mode "Job") (not (has "ReadWriteMany" .accessModes)) -}}
{{- fail "finetuning.worker.work.accessModes: trainings are pods of their own and share the volume, so it must be ReadWriteMany; or set finetuning.trainer.mode to Process" -}}
{{- end -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "touchstone.metadata" (list $root $component (printf "%s-work" $component)) | nindent 2 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes:
    {{- toYaml .accessModes | nindent 4 }}
  {{- with .storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .size }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A token for the router's audience, and where it lies. */}}
{{- define "touchstone.tokenVolume" -}}
- name: router-token
  projected:
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .Values.router.auth.audience }}
          expirationSeconds: 3600
{{- end -}}

{{- define "touchstone.tokenMount" -}}
- name: router-token
  mountPath: /var/run/secrets/touchstone
  readOnly: true
{{- end -}}

{{- define "touchstone.tokenVariable" -}}
- name: TOUCHSTONE_TOKEN_FILE
  value: /var/run/secrets/touchstone/token
{{- end -}}

{{/* A Role for what a component does in the scope, and its binding: (dict root component rules). */}}
{{- define "touchstone.scopedRole" -}}
{{- $isCluster := eq .root.Values.scope "Cluster" -}}
{{- $account := printf "%s-%s" (include "touchstone.fullname" .root) .component -}}
{{- $name := printf "%s-%s" (include "touchstone.fullname" .root) (.name | default .component) -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "ClusterRole" "Role" $isCluster }}
metadata:
  name: {{ ternary (printf "%s:%s" .root.Release.Namespace $name) $name $isCluster }}
  {{- if not $isCluster }}
  namespace: {{ .root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "touchstone.labels" (list .root .component) | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "ClusterRoleBinding" "RoleBinding" $isCluster }}
metadata:
  name: {{ ternary (printf "%s:%s" .root.Release.Namespace $name) $name $isCluster }}
  {{- if not $isCluster }}
  namespace: {{ .root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "touchstone.labels" (list .root .component) | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ ternary "ClusterRole" "Role" $isCluster }}
  name: {{ ternary (printf "%s:%s" .root.Release.Namespace $name) $name $isCluster }}
subjects:
  - kind: ServiceAccount
    name: {{ $account }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}

{{/* Keys of stores that users name by credentialsSecretRef. */}}
{{- define "touchstone.secretRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- end -}}
