{{/* The name of everything that is made: at most 52 characters, so that a pod's name with the
suffix of a controller is a label still. */}}
{{- define "belljar.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* By what the parts find the pod. They never change. */}}
{{- define "belljar.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "belljar.labels" -}}
{{ include "belljar.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "belljar.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "belljar.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "belljar.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* How a probe asks for `path`, "live" or "ready". */}}
{{- define "belljar.probe" -}}
{{- if eq .root.Values.probes "exec" -}}
exec:
  command:
    - /usr/local/bin/belljar
    - health
    {{- if eq .path "live" }}
    - --live
    {{- end }}
{{- else -}}
httpGet:
  path: /health/{{ .path }}
  port: http
  {{- if .root.Values.tls.secretName }}
  scheme: HTTPS
  {{- end }}
{{- end -}}
{{- end -}}
