{{- define "headgate.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* What cluster-wide objects begin with: two installations on one cluster must not share them. */}}
{{- define "headgate.clusterName" -}}
{{- printf "headgate:%s" (include "headgate.namespace" .) -}}
{{- end }}

{{- define "headgate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/name: headgate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* (dict "root" $ "name" "translator") */}}
{{- define "headgate.selector" -}}
app.kubernetes.io/name: headgate
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{/* An image under another registry: (dict "image" "a/b:c" "root" $) */}}
{{- define "headgate.rehost" -}}
{{- if .root.Values.global.imageRegistry -}}
{{- $parts := splitn "/" 2 .image -}}
{{- printf "%s/%s" .root.Values.global.imageRegistry $parts._1 -}}
{{- else -}}
{{- .image -}}
{{- end -}}
{{- end }}

{{- define "headgate.image" -}}
{{- $own := .Values.deployment.envoyGateway.image -}}
{{- if $own.repository -}}
{{- include "headgate.rehost" (dict "root" . "image" (printf "%s:%s" $own.repository (default .Chart.AppVersion $own.tag))) -}}
{{- else -}}
{{- include "headgate.rehost" (dict "root" . "image" .Values.global.images.envoyGateway.image) -}}
{{- end -}}
{{- end }}

{{- define "headgate.pullPolicy" -}}
{{- default .Values.global.images.envoyGateway.pullPolicy .Values.deployment.envoyGateway.imagePullPolicy -}}
{{- end }}

{{- define "headgate.pullSecrets" -}}
{{- with coalesce .Values.global.imagePullSecrets .Values.deployment.envoyGateway.imagePullSecrets .Values.global.images.envoyGateway.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Where the bus is; one file for all services, whose credentials stand at the same place in each pod. */}}
{{- define "headgate.bus" -}}
{{- if .Values.nats.enabled }}
urls:
  - nats://headgate-nats.{{ include "headgate.namespace" . }}.svc.{{ .Values.kubernetesClusterDomain }}:4222
replicas: {{ .Values.nats.replicas }}
tls:
  ca: /bus/ca.crt
  cert: /bus/tls.crt
  key: /bus/tls.key
{{- else }}
{{- $external := .Values.nats.external }}
{{- if not $external.urls }}
{{- fail "nats.external.urls is required where nats.enabled is false" }}
{{- end }}
urls: {{ toYaml $external.urls | nindent 2 }}
replicas: {{ $external.replicas }}
{{- if eq $external.auth "tls" }}
tls:
  ca: /bus/ca.crt
  cert: /bus/tls.crt
  key: /bus/tls.key
{{- else if eq $external.auth "creds" }}
credentialsFile: /bus/creds
{{- if $external.caFromSecret }}
tls:
  ca: /bus/ca.crt
{{- end }}
{{- else }}
{{- fail "nats.external.auth is tls or creds" }}
{{- end }}
{{- end }}
sealingKeyFiles:
  - /bus-key/key
{{- end }}

{{/* What values other than config.envoyGateway say of the EnvoyGateway file. */}}
{{- define "headgate.defaultConfig" -}}
{{- $images := .Values.global.images }}
provider:
  type: Kubernetes
  kubernetes:
    rateLimitDeployment:
      container:
        image: {{ include "headgate.rehost" (dict "root" . "image" $images.ratelimit.image) }}
      {{- with coalesce .Values.global.imagePullSecrets $images.ratelimit.pullSecrets }}
      pod:
        imagePullSecrets:
          {{- toYaml . | nindent 10 }}
      {{- end }}
      {{- with $images.ratelimit.pullPolicy }}
      patch:
        type: StrategicMerge
        value:
          spec:
            template:
              spec:
                containers:
                  - name: envoy-ratelimit
                    imagePullPolicy: {{ . }}
      {{- end }}
    shutdownManager:
      image: {{ include "headgate.image" . }}
    {{- if not .Values.topologyInjector.enabled }}
    proxyTopologyInjector:
      disabled: true
    {{- end }}
{{- with $images.envoyProxy }}
{{- if .image }}
envoyProxy:
  provider:
    type: Kubernetes
    kubernetes:
      envoyDeployment:
        container:
          image: {{ include "headgate.rehost" (dict "root" $ "image" .image) }}
          {{- with .pullPolicy }}
          imagePullPolicy: {{ . }}
          {{- end }}
        {{- with coalesce $.Values.global.imagePullSecrets .pullSecrets }}
        pod:
          imagePullSecrets:
            {{- toYaml . | nindent 12 }}
        {{- end }}
{{- end }}
{{- end }}
bus:
  {{- include "headgate.bus" . | nindent 2 }}
{{- end }}

{{- define "headgate.config" -}}
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
{{- $default := include "headgate.defaultConfig" . | fromYaml }}
{{ toYaml (mustMergeOverwrite $default (deepCopy .Values.config.envoyGateway)) }}
{{- end }}
